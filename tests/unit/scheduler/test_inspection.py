"""From facts to findings, and what will be rendered."""

from typing import Any

import pytest

from contracts.events import InspectionReported, JobFailed, JobInspected, JobStateChanged, SamplingMeasured
from contracts.grants import Grant
from contracts.values import FrameRange, Kind, Picture, RenderSettings, Severity, count
from services.scheduler.domain.inspection import inspected, judged, unreadable
from services.scheduler.domain.picture import max_bytes, memory_bytes, picture
from services.scheduler.domain.states import JobState
from tests.unit.scheduler.builders import GIB, NOW, a_job, a_submission, some_facts, span


def codes(severity: Severity, **facts: Any) -> list[str]:
    verdict = judged(some_facts(**facts), (), RenderSettings(), 4 * GIB)
    return [finding.code for finding in verdict.findings if finding.severity is severity]


def test_a_good_file_has_no_findings_and_its_own_range() -> None:
    verdict = judged(some_facts(frame_start=5, frame_end=9), (), RenderSettings(), 4 * GIB)
    assert (verdict.findings, verdict.frames) == ((), span(5, 9))
    assert verdict.picture == Picture(width=480, height=270)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"engine": "BLENDER_EEVEE_NEXT"}, "engine"),
        ({"engine": "BLENDER_WORKBENCH"}, "engine"),
        ({"has_camera": False, "cameras": ()}, "no_camera"),
        ({"newer_than_renderer": True, "blender_version": "9.9"}, "newer_blender"),
        ({"missing": ("image: //wood.png",)}, "missing_image"),
        ({"frame_start": 10, "frame_end": 3}, "no_frames"),
        ({"frame_start": -600_000, "frame_end": 600_000}, "too_many_frames"),
        ({"frame_start": 1_000_000, "frame_end": 1_000_001}, "frame_number"),
        ({"width": 40_000}, "resolution"),
        ({"memory_bytes": 5 * GIB}, "memory"),
        ({"cropped": True}, "cropped"),
        ({"multiview": True}, "multiview"),
    ],
)
def test_what_cannot_be_rendered_is_an_error_with_a_fix(facts: dict[str, Any], code: str) -> None:
    verdict = judged(some_facts(**facts), (), RenderSettings(), 4 * GIB)
    (error,) = [finding for finding in verdict.findings if finding.severity is Severity.ERROR]
    assert error.code == code
    assert error.fix
    assert not verdict.accepted


def test_eevee_is_refused_with_the_advice_to_use_cycles() -> None:
    (finding,) = judged(some_facts(engine="BLENDER_EEVEE_NEXT"), (), RenderSettings(), 0).findings
    assert finding.text == "The file renders with EEVEE, which this farm does not render."
    assert "Cycles" in finding.fix


def test_what_cannot_change_the_picture_is_no_error() -> None:
    assert codes(Severity.INFO, missing_unused=("//old.png",)) == ["missing_unused"]
    assert codes(Severity.WARNING, is_movie=True, scripts=("startup.py",)) == ["movie_output", "scripts"]


def test_frames_that_were_asked_for_are_taken_once_and_in_order() -> None:
    asked = (*span(8, 10), *span(1, 9, 2))
    verdict = judged(some_facts(), asked, RenderSettings(), 0)
    assert [frame for one in verdict.frames for frame in one] == [1, 3, 5, 7, 8, 9, 10]
    assert verdict.findings == ()


def test_frames_outside_the_file_range_are_rendered_as_asked() -> None:
    verdict = judged(some_facts(), span(100, 101), RenderSettings(), 0)
    assert verdict.accepted
    assert [finding.code for finding in verdict.findings] == ["outside_range"]


def test_a_list_too_scattered_to_be_told_is_refused() -> None:
    asked = tuple(FrameRange(first=0, last=900_000, step=step) for step in (7, 11, 13, 17))
    verdict = judged(some_facts(frame_start=0, frame_end=900_000), asked, RenderSettings(), 0)
    assert [finding.code for finding in verdict.findings] == ["scattered_frames"]


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (RenderSettings(), (480, 270)),
        (RenderSettings(percentage=33), (158, 89)),
        (RenderSettings(width=101, height=51, percentage=50), (50, 25)),
        (RenderSettings(percentage=1, width=10, height=10), (1, 1)),
    ],
)
def test_picture_sides_are_rounded_down_as_blender_does(settings: RenderSettings, size: tuple[int, int]) -> None:
    made = picture(some_facts(), settings)
    assert (made.width, made.height) == size


def test_a_camera_or_scene_that_is_not_there_is_named_with_those_that_are() -> None:
    verdict = judged(some_facts(), (), RenderSettings(camera="Closeup", scene="Other"), 0)
    assert [finding.code for finding in verdict.findings] == ["camera", "scene"]
    assert "Camera" in verdict.findings[0].fix


def test_memory_is_never_less_than_blender_and_the_picture_take() -> None:
    small, large = Picture(width=480, height=270), Picture(width=8_000, height=8_000)
    assert memory_bytes(some_facts(), small) == 1_000_000_000
    assert memory_bytes(some_facts(), large) == 260 * (1 << 20) + 70 * 64_000_000


@pytest.mark.parametrize(
    "size", [Picture(width=1, height=32_768), Picture(width=1920, height=1080), Picture(width=8, height=8, bits=16)]
)
def test_a_file_may_be_as_large_as_the_worst_picture_with_its_text_and_hardly_larger(size: Picture) -> None:
    samples = size.width * size.height * 4 * size.bits // 8
    rows = samples + size.height  # each begins with its filter
    pieces = 12 * (rows // 8192 + 1) + 5 * (rows // 16_000 + 1)  # of the file, and of zlib's data where nothing can be packed
    assert rows + pieces + (8 << 20) < max_bytes(size) <= samples * 1.1 + (10 << 20)


def a_report(**changes: Any) -> InspectionReported:
    grant = Grant(
        agent="house", job="job", chunk="chunk", attempt="look", kind=Kind.INSPECT, frames=(), bundle="b" * 64,
        picture=Picture(width=1, height=1), max_bytes=1, until=NOW,
    )  # fmt: skip
    return InspectionReported(**{"grant": grant, "facts": some_facts(), "cpu_micros": 700_000, **changes})


def test_an_accepted_file_tells_what_will_be_rendered() -> None:
    job, (told,) = inspected(a_job(state=JobState.INSPECTING), a_report(), 5, 0)
    assert isinstance(told, JobInspected)
    assert told.accepted
    assert (count(told.frames), job.total, job.state) == (12, 12, JobState.INSPECTING)


def test_a_refused_file_fails_the_job_and_the_look_at_it_is_paid() -> None:
    job, events = inspected(a_job(state=JobState.INSPECTING), a_report(facts=some_facts(engine="OTHER")), 5, 0)
    assert [type(one) for one in events] == [JobInspected, SamplingMeasured, JobStateChanged, JobFailed]
    assert job.state is JobState.FAILED
    assert isinstance(events[1], SamplingMeasured)
    assert [(work.attempt, work.micro_wu) for work in events[1].work] == [("look", 5)]


def test_a_file_that_blender_cannot_open_fails_with_its_words() -> None:
    _, events = inspected(a_job(state=JobState.INSPECTING), a_report(facts=None, error="Missing DNA block"), 5, 0)
    (failed,) = [one for one in events if isinstance(one, JobFailed)]
    assert "Missing DNA block" in failed.reason
    assert failed.hint


def test_a_second_report_changes_nothing() -> None:
    job = a_job(state=JobState.ESTIMATING)
    assert inspected(job, a_report(), 5, 0) == (job, [])


def test_a_report_on_a_paused_job_counts_beneath_the_pause() -> None:
    job, _ = inspected(a_job(state=JobState.PAUSED, stage=JobState.INSPECTING, asked=a_submission()), a_report(), 5, 0)
    assert job.total == 12


def test_blenders_words_reach_the_renter_without_code_and_sandbox() -> None:
    words = 'cannot_open: Error: Loading "/in/bundle/props/scene.blend" failed: Missing DNA block'
    (finding,) = unreadable(words).findings
    assert finding.text == (
        'Blender cannot open this file: it is damaged or was cut off (Loading "props/scene.blend" failed: Missing DNA block)'
    )
    assert unreadable("cannot_open: something new").findings[0].text == "Blender cannot open this file: something new"
