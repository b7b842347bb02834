"""The task a render container is given is read strictly: a mistake of ours must not become a scene's fault."""

from typing import Any

import pytest

from contracts.changes import Change
from infra.images.render import changes as made
from infra.images.render.events import remaining_seconds
from infra.images.render.task import CHANGES, BadTask, Settings, parse_task


def a_task(**changes: Any) -> dict[str, Any]:
    return {"blend": "/in/bundle/scene.blend", "frames": [1, 2], **changes}


def test_a_task_without_settings_leaves_everything_to_the_file() -> None:
    task = parse_task(a_task())
    assert task.frames == (1, 2)
    assert task.settings == Settings()
    assert task.scale_percent == 100


def test_every_change_that_the_farm_offers_can_be_asked_for_and_is_made() -> None:
    assert set(CHANGES) == set(made.CHANGES) == set(Change)
    assert parse_task(a_task(settings={"changes": list(CHANGES)})).settings.changes == CHANGES


def test_an_exr_is_half_float_unless_told_otherwise() -> None:
    assert parse_task(a_task(settings={"format": "OPEN_EXR"})).settings.color_depth == "16"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"blend": "/etc/passwd"}, "blend"),
        ({"blend": "/in/../etc/passwd"}, "blend"),
        ({"settings": {"changes": ["format-my-disk"]}}, "changes"),
        ({"settings": {"changes": "one-view"}}, "changes"),
        ({"blend": None}, "blend"),
        ({"frames": [1, 1]}, "frames"),
        ({"frames": [1.5]}, "frames"),
        ({"frames": [True]}, "frames"),
        ({"frames": list(range(10_001))}, "frames"),
        ({"frames": [1_000_000]}, "frames"),
        ({"scale_percent": 0}, "scale_percent"),
        ({"settings": {"percentage": 101}}, "percentage"),
        ({"settings": {"width": 0}}, "width"),
        ({"settings": {"width": "480"}}, "width"),
        ({"settings": {"format": "FFMPEG"}}, "format"),
        ({"settings": {"format": "PNG", "color_depth": "32"}}, "color_depth"),
        ({"settings": {"samples": 0}}, "samples"),
        ({"settings": {"use_scripts": True}}, "use_scripts"),
        ({"use_scripts": True}, "use_scripts"),
    ],
)
def test_what_a_task_may_not_say_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(BadTask, match=named):
        parse_task(a_task(**changes))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Remaining: 00:28.82 | Mem: 10M | Sample 1/48", 28.82),
        ("Frame 3 | Remaining: 1:02:03.5 | Sample 9/10", 3723.5),
        ("Mem: 0M | Synchronizing object | Cube", None),
        ("an object named Remaining: soon", None),
    ],
)
def test_the_time_left_is_read_from_blenders_words(text: str, seconds: float | None) -> None:
    assert remaining_seconds(text) == seconds
