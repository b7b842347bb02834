"""What the renter of a failed job reads."""

from typing import Any

import pytest

from contracts.events import ChunkFailed, Fault
from contracts.values import Kind
from services.scheduler.domain.words import HINTS, PLAIN, hint, reason


def failed(fault: Fault = Fault.SCENE, **words: Any) -> ChunkFailed:
    return ChunkFailed(job="j", chunk="c", attempt="a", fault=fault, **words)


def test_a_failure_names_the_frame_and_what_the_agent_found() -> None:
    event = failed(
        frame=2, text="files that the picture needs are not in the upload: image textures/walk_0002.png", hint="Pack it."
    )
    assert reason(Kind.RENDER, event) == (
        "Rendering failed at frame 2, on the farm's own machine too: "
        "files that the picture needs are not in the upload: image textures/walk_0002.png"
    )
    assert hint(event) == "Pack it."


def test_a_file_that_cannot_be_looked_at_was_not_rendered() -> None:
    assert reason(Kind.INSPECT, failed(Fault.MEMORY, text="the scene needs more than 2.0 GB of memory")) == (
        "The file could not be looked at: the scene needs more than 2.0 GB of memory"
    )


@pytest.mark.parametrize("fault", Fault)
def test_an_agent_without_words_leaves_nobody_without_an_answer(fault: Fault) -> None:
    assert reason(Kind.SAMPLE, failed(fault)) == f"Rendering failed, on the farm's own machine too: {PLAIN[fault]}"
    assert hint(failed(fault)) == HINTS[fault]
