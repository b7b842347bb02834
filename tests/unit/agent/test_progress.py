"""How far a frame is, and when work may follow an attempt: from what the container says and how long its frames took."""

from dataclasses import replace

import pytest

from agent.domain import machine, signals
from agent.domain.attempt import Attempt, HeldFrame, Phase, Standing, completed, withdrawn
from agent.domain.progress import AHEAD_SECONDS, LATE_SECONDS, heard, is_ending, samples, seconds_left
from contracts.events import RenderedFrame
from tests.unit.agent.builders import an_assignment

NOW = 1_000.0


def a_frame(frame: int, seconds: float) -> HeldFrame:
    hash = "0" * 64
    done = RenderedFrame(frame=frame, bytes=1, file_sha256=hash, pixel_sha256=hash, cpu_micros=1, seconds=seconds)
    return HeldFrame(done, Standing.TOLD)


def rendering(frames: int, *done: float, **changes: object) -> Attempt:
    """An attempt that has finished frames which took so many seconds each, its next one begun now."""
    attempt = Attempt(an_assignment(*range(1, frames + 1)), ends_at=NOW + 3_600, since=NOW, phase=Phase.RENDERING, opened=True)
    held = tuple(a_frame(number, seconds) for number, seconds in enumerate(done, start=1))
    return replace(attempt, frames=held, frame_since=NOW, alive_at=NOW, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Remaining: 00:28.82 | Mem: 10M | Sample 1/48", (1, 48)),
        ("Sample 0/48 (Using optimized kernels)", (0, 48)),
        ("Sample 49/48", (48, 48)),
        ("Sample 3/0", None),
        ("Sample 3/99999999999", None),
        ("Synchronizing object | Cube", None),
        ("", None),
    ],
)
def test_samples_are_read_where_blender_tells(text: str, found: tuple[int, int] | None) -> None:
    assert samples(text) == found


def test_blenders_guess_is_bounded() -> None:
    assert [heard("", guess).remaining for guess in (-1.0, 5.0, 1e30, None)] == [0.0, 5.0, 1e7, None]


def test_what_blender_tells_is_in_the_pulse_until_the_next_frame() -> None:
    attempt, _ = machine.decide(rendering(3), heard("Sample 3/8", 4.5), NOW)
    told = attempt.told(NOW + 2)
    assert (told.frame, told.sample, told.samples, told.remaining_seconds) == (1, 3, 8, 4.5)
    attempt, _ = machine.decide(attempt, heard("Denoising", None), NOW)
    assert attempt.told(NOW).samples == 8
    attempt, _ = machine.decide(attempt, signals.FrameTaken(a_frame(1, 5.0).picture), NOW + 5)
    told = attempt.told(NOW + 5)
    assert (told.frame, told.sample, told.samples, told.remaining_seconds) == (2, None, None, None)


def test_the_time_left_follows_from_the_frames_that_are_done() -> None:
    assert seconds_left(rendering(4, 6.0, 8.0), NOW) == 14.0
    assert seconds_left(rendering(4, 6.0, 8.0), NOW + 3) == 11.0
    assert seconds_left(rendering(2, 6.0), NOW + 60) == 0.0


def test_for_a_lone_frame_blenders_guess_counts_and_without_it_nothing_is_known() -> None:
    assert seconds_left(rendering(1), NOW) is None
    assert seconds_left(rendering(1, remaining=30.0), NOW + 12) == 18.0
    assert seconds_left(rendering(2, remaining=30.0), NOW) is None


def test_an_attempt_is_ending_when_little_time_is_left_and_not_before() -> None:
    each = AHEAD_SECONDS
    assert not is_ending(rendering(3, each), NOW)
    assert is_ending(rendering(3, each, each), NOW)
    assert not is_ending(rendering(3, each, each, frozen_since=NOW), NOW)
    assert not is_ending(rendering(3, each, each, opened=False), NOW)


def test_delivering_frees_the_slot_only_when_it_lasts() -> None:
    attempt = rendering(1, 1.0, phase=Phase.DELIVERING, ending=completed())
    assert not is_ending(attempt, NOW + LATE_SECONDS / 2)
    assert is_ending(attempt, NOW + LATE_SECONDS)
    assert not is_ending(replace(attempt, ending=withdrawn("voided")), NOW + LATE_SECONDS)
