"""Which delivery counts, what grants allow, and what is told."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Event, FramesStored, RenderedFrame
from contracts.grants import Grant
from contracts.values import Kind, Picture
from services.storage.domain import admission, effort
from services.storage.domain import frame as framing
from services.storage.domain.admission import NotAllowed
from services.storage.domain.frame import ABANDONED_AFTER, FrameState, Standing, standing
from services.storage.domain.joining import joined
from tests.unit.storage.builders import KEYS, NOW, a_grant, a_record

FILE = "f" * 64


def test_the_first_delivery_of_a_frame_counts() -> None:
    assert standing(None, "attempt-1", FILE, NOW) is Standing.FIRST


def test_an_attempt_goes_on_where_it_was_interrupted() -> None:
    assert standing(a_record(), "attempt-1", FILE, NOW) is Standing.RESUMED


def test_a_rival_waits_until_it_is_known_what_becomes_of_the_first() -> None:
    assert standing(a_record(), "attempt-2", FILE, NOW) is Standing.PENDING
    assert standing(a_record(), "attempt-2", FILE, NOW + ABANDONED_AFTER + timedelta(seconds=1)) is Standing.TAKES_OVER


def test_a_stored_frame_is_nobodys_to_replace() -> None:
    stored = a_record(state=FrameState.STORED)
    much_later = NOW + timedelta(days=1)
    assert standing(stored, "attempt-1", "other", much_later) is Standing.REPEATED
    assert standing(stored, "attempt-2", FILE, much_later) is Standing.SECOND


def test_a_frame_refused_by_the_seal_stays_refused() -> None:
    assert standing(a_record(state=FrameState.REFUSED), "attempt-1", FILE, NOW) is Standing.CLOSED


def test_a_stored_frame_is_told_with_everything_charging_needs() -> None:
    state, (event,) = framing.stored(a_record(7, generation=2, version=3))
    assert state.state is FrameState.STORED
    assert isinstance(event, FramesStored)
    assert (event.agent, event.attempt, event.kind, event.generation, event.version) == (
        "agent-a",
        "attempt-1",
        Kind.RENDER,
        2,
        3,
    )
    assert event.frames[0].key == f"frames/job-1/7-{FILE}.png"
    with pytest.raises(ValueError, match="is stored and cannot become refused"):
        framing.refused(state)


def forged(grant: Grant) -> Grant:
    return grant.model_copy(update={"max_bytes": grant.max_bytes + 1})


@pytest.mark.parametrize(
    ("grant", "after", "revoked", "good"),
    [
        (a_grant(), timedelta(), False, True),
        (forged(a_grant()), timedelta(), False, False),
        (a_grant().model_copy(update={"key_id": "9"}), timedelta(), False, False),
        (a_grant(), timedelta(hours=2), False, False),
        (a_grant(), timedelta(), True, False),
    ],
    ids=["good", "forged", "unknown key", "over", "revoked"],
)
def test_only_a_good_grant_of_a_living_agent_is_served(grant: Grant, after: timedelta, revoked: bool, good: bool) -> None:
    if good:
        admission.check_grant(grant, KEYS, NOW + after, revoked)
    else:
        with pytest.raises(NotAllowed):
            admission.check_grant(grant, KEYS, NOW + after, revoked)


@pytest.mark.parametrize(
    ("kind", "frames", "good"),
    [
        (Kind.RENDER, [1, 10], True),
        (Kind.SAMPLE, [5], True),
        (Kind.PROBE, [5], False),
        (Kind.INSPECT, [5], False),
        (Kind.RENDER, [11], False),
        (Kind.RENDER, [0], False),
        (Kind.RENDER, [5, 5], False),
    ],
)
def test_an_attempt_delivers_its_own_frames_once(kind: Kind, frames: list[int], good: bool) -> None:
    grant = a_grant(kind=kind)
    if good:
        admission.check_frames(grant, frames)
    else:
        with pytest.raises(NotAllowed):
            admission.check_frames(grant, frames)


def test_a_file_may_be_as_large_as_the_grant_says_and_no_larger() -> None:
    def rendered(size: int) -> RenderedFrame:
        return RenderedFrame(frame=1, bytes=size, file_sha256=FILE, pixel_sha256=FILE, cpu_micros=1)

    admission.check_sizes(a_grant(max_bytes=100), [rendered(100)])
    with pytest.raises(NotAllowed, match="larger"):
        admission.check_sizes(a_grant(max_bytes=100), [rendered(101)])


@given(st.lists(st.tuples(st.integers(1, 200), st.sampled_from(["attempt-1", "attempt-2"])), unique=True, max_size=150))
def test_frames_of_one_attempt_are_told_together_and_none_is_lost(frames: list[tuple[int, str]]) -> None:
    events: list[Event] = [framing.stored(a_record(frame, attempt=attempt))[1][0] for frame, attempt in frames]
    told = joined(events)
    assert sorted(place for _, places in told for place in places) == list(range(len(events)))
    for event, places in told:
        assert isinstance(event, FramesStored)
        assert len(event.frames) <= 64
        assert [(frame.frame, event.attempt) for frame in event.frames] == [frames[place] for place in places]


def test_small_pictures_are_verified_at_once_and_large_ones_become_tasks() -> None:
    small, large = Picture(width=480, height=270), Picture(width=16_000, height=16_000)
    efforts = [effort.seconds(64, small), effort.seconds(64, large), effort.seconds(64, small)]
    assert effort.at_once(efforts, verifiers=2) == [True, False, True]
    assert sum(e for e, now in zip(efforts * 50, effort.at_once(efforts * 50, 2), strict=True) if now) <= 20
