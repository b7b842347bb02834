"""How much is too much: the honest are never held for flooders, flooders are known early, and it passes."""

from hypothesis import given
from hypothesis import strategies as st

from agent.domain.bandwidth import full, passed
from agent.outbox import EVENTS_PER_SECOND, GROUP
from services.chassis.conduct import Conduct, Limits, Offence, erred, is_forgotten, offence, spoke

LIMITS = Limits()
GAPS = st.floats(min_value=0, max_value=0.5, allow_nan=False)


def talking(rate: float, seconds: float, size: int = 500, limits: Limits = LIMITS, was_deaf: bool = False) -> Conduct:
    conduct = Conduct(0.0)
    for number in range(int(rate * seconds)):
        conduct = spoke(conduct, size, number / rate, limits, was_deaf)
        if offence(conduct, limits):
            break
    return conduct


def test_the_busiest_honest_agent_is_never_too_loud() -> None:
    assert offence(talking(99, 600), LIMITS) is None


def test_an_agent_that_delivers_what_it_kept_for_hours_is_never_too_loud() -> None:
    bucket, now, conduct = full(EVENTS_PER_SECOND, 0.0), 0.0, Conduct(0.0)
    for _ in range(1_000):
        bucket, seconds = passed(bucket, GROUP, now)
        now += seconds
        for _ in range(GROUP + 1):
            conduct = spoke(conduct, 500, now, LIMITS)
        assert offence(conduct, LIMITS) is None


def test_a_flood_is_known_within_a_tenth_of_a_second() -> None:
    flood = talking(8_000, 60)
    assert offence(flood, LIMITS) is Offence.EVENTS
    assert flood.at < 0.1


def test_few_huge_messages_are_a_flood_too() -> None:
    flood = talking(50, 60, size=250_000)
    assert offence(flood, LIMITS) is Offence.BYTES
    assert flood.events < LIMITS.events_burst


def test_a_hundred_faults_at_once_are_borne_and_one_more_is_not() -> None:
    conduct = Conduct(0.0)
    for _ in range(100):
        conduct = erred(conduct, 0.0, LIMITS)
    assert offence(conduct, LIMITS) is None
    assert offence(erred(conduct, 0.0, LIMITS), LIMITS) is Offence.FAULTS
    assert offence(erred(conduct, 0.5, LIMITS), LIMITS) is None, "one has leaked"


def test_what_waited_while_we_were_deaf_is_not_held_against_anybody() -> None:
    assert offence(talking(5_000, 1, was_deaf=True), LIMITS) is None
    assert offence(talking(5_000, 1), LIMITS) is Offence.EVENTS


def test_a_flood_that_comes_while_we_were_deaf_is_known_once_it_is_more_than_can_have_waited() -> None:
    flood = talking(8_000, 60, was_deaf=True)
    assert offence(flood, LIMITS) is Offence.EVENTS
    assert flood.said <= LIMITS.excused_events + 2 * LIMITS.events_burst
    heavy = talking(2_000, 60, size=250_000, was_deaf=True)
    assert offence(heavy, LIMITS) is Offence.BYTES
    assert heavy.said * 250_000 < LIMITS.excused_bytes + 2 * LIMITS.bytes_burst


def test_a_silence_that_goes_on_is_one_silence_and_the_next_one_is_forgiven_anew() -> None:
    waited = talking(9_000, 1, was_deaf=True)
    again = spoke(waited, 500, 9.0, LIMITS)
    assert (waited.excused, again.excused) == (9_000, 0)
    assert spoke(again, 500, 10.0, LIMITS, was_deaf=True).excused == 1


@given(st.lists(GAPS, max_size=300))
def test_buckets_stay_within_their_bounds_and_empty_in_the_time_they_promise(gaps: list[float]) -> None:
    conduct, now = Conduct(0.0), 0.0
    for gap in gaps:
        now += gap
        conduct = erred(spoke(conduct, 200_000, now, LIMITS), now, LIMITS)
        assert 0 <= conduct.events <= LIMITS.events_burst + LIMITS.events_per_second * LIMITS.memory_seconds
        assert 0 <= conduct.faults <= LIMITS.faults_burst + LIMITS.faults_per_second * LIMITS.memory_seconds
    fullest = LIMITS.faults_burst / LIMITS.faults_per_second + LIMITS.memory_seconds
    assert is_forgotten(conduct, now + fullest, LIMITS)
    assert offence(spoke(conduct, 0, now + fullest, LIMITS), LIMITS) is None


@given(st.floats(min_value=0, max_value=100), st.floats(min_value=0, max_value=100))
def test_a_clock_that_goes_back_empties_nothing(at: float, back: float) -> None:
    before = Conduct(at, events=7, bytes=70, faults=3)
    after = spoke(before, 10, at - back, LIMITS)
    assert (after.at, after.events, after.bytes, after.faults) == (at, 8, 80, 3)
