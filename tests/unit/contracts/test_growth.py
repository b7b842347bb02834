"""Schemas only grow; the check that says so is itself shown to catch each way of breaking a promise."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from contracts.events import FramesStored, JobSubmitted
from infra.docs.growth import broken_promises, recorded, schemas

Break = Callable[[dict[str, Any]], object]


def test_every_recorded_promise_is_kept() -> None:
    now = schemas()
    broken = [f"{key}: {text}" for key, before in recorded().items() for text in broken_promises(before, now.get(key, {}))]
    assert not broken


def test_the_record_knows_every_event() -> None:
    assert recorded() == schemas(), "run `make docs`"


def test_a_new_optional_field_breaks_nothing() -> None:
    before = FramesStored.model_json_schema()
    after = copy.deepcopy(before)
    after["properties"]["comment"] = {"type": "string", "default": ""}
    after["$defs"]["StoredFrame"]["properties"]["comment"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    assert list(broken_promises(before, after)) == []


def test_a_new_optional_field_of_what_has_a_default_breaks_nothing() -> None:
    before = JobSubmitted.model_json_schema()
    after = copy.deepcopy(before)
    after["$defs"]["RenderSettings"]["properties"]["denoise"] = {"type": "boolean", "default": False}
    after["properties"]["settings"]["default"]["denoise"] = False
    assert list(broken_promises(before, after)) == []
    after["properties"]["settings"]["default"]["gpu"] = True
    assert [text.partition(" was ")[0] for text in broken_promises(before, after)] == ["settings: default"]


def test_other_words_about_a_field_break_nothing() -> None:
    before = FramesStored.model_json_schema()
    after = copy.deepcopy(before)
    after["properties"]["job"] |= {"title": "Job", "description": "Whose."}
    assert list(broken_promises(before, after)) == []


def test_an_alternative_that_comes_or_goes_is_caught() -> None:
    text, number, nothing = {"type": "string"}, {"type": "integer"}, {"type": "null"}
    before, fewer, more = (
        {"properties": {"x": {"anyOf": kinds}}} for kinds in ([text, nothing], [text], [text, nothing, number])
    )
    assert list(broken_promises(before, before)) == []
    assert list(broken_promises(before, fewer)) == ["x no longer takes null"]
    assert list(broken_promises(before, more)) == ["x takes integer too"]


@pytest.mark.parametrize(
    "breaking",
    [
        lambda s: s["properties"].pop("job"),
        lambda s: s["required"].append("comment"),
        lambda s: s["properties"]["job"].update(type="integer"),
        lambda s: s["properties"]["job"].update(pattern="^x$"),
        lambda s: s["$defs"]["Kind"]["enum"].remove("sample"),
        lambda s: s["properties"]["frames"].update(maxItems=1),
        lambda s: s["properties"]["frames"].update(maxItems=s["properties"]["frames"]["maxItems"] + 1),
        lambda s: s["properties"]["frames"].pop("maxItems"),
        lambda s: s["properties"]["frames"].update(minItems=0),
        lambda s: s["$defs"]["StoredFrame"]["properties"]["seconds"].pop("maximum"),
        lambda s: s["$defs"]["StoredFrame"]["properties"]["seconds"].update(default=1.0),
        lambda s: s["$defs"]["StoredFrame"]["properties"]["seconds"].pop("default"),
        lambda s: s["$defs"]["StoredFrame"]["properties"].pop("key"),
        lambda s: s["$defs"]["StoredFrame"]["properties"]["bytes"].update(maximum=1),
        lambda s: s["$defs"]["StoredFrame"]["properties"]["bytes"].update(exclusiveMaximum=1),
        lambda s: s["$defs"]["StoredFrame"]["properties"]["bytes"].update(exclusiveMinimum=1),
        lambda s: s["$defs"]["StoredFrame"]["required"].append("comment"),
        lambda s: s["$defs"]["Kind"]["enum"].append("rehearsal"),
        lambda s: s["$defs"]["Kind"].pop("enum"),
        lambda s: s["required"].remove("job"),
        lambda s: s["properties"]["job"].update(format="uuid"),
        lambda s: s["properties"]["job"].pop("pattern"),
        lambda s: s["properties"]["job"].update(enum=["only-this"]),
        lambda s: s["properties"]["frames"].update(uniqueItems=True),
        lambda s: s["properties"].update(job={"anyOf": [s["properties"]["job"], {"type": "integer"}]}),
        lambda s: s.update(additionalProperties=False),
    ],
)
def test_each_way_to_break_a_promise_is_caught(breaking: Break) -> None:
    before = FramesStored.model_json_schema()
    after = copy.deepcopy(before)
    breaking(after)
    assert list(broken_promises(before, after))
