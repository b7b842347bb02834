"""When a lender's machine is his own and when it is lent, told by plain facts."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.comfort import MOVES, Facts, Mood, Rules, Stance, decide, unknown
from agent.domain.hours import hours

MONDAY_NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def facts(**seen: Any) -> Facts:
    return Facts(**{"local": MONDAY_NOON, **seen})


def rules(**kept: Any) -> Rules:
    return Rules(**{"give_back_seconds": 300.0, **kept})


STRICT = rules(idle_seconds=300.0, load_cores=1.0, programs=("blender",), on_battery=False, hot_celsius=85.0, cool_celsius=75.0)
QUIET = facts(idle_seconds=3_600.0, other_cores=0.1, on_battery=False, celsius=50.0)


def after(mood: Mood, *seen: tuple[float, Facts], by: Rules = STRICT) -> Mood:
    for now, one in seen:
        mood = decide(by, one, mood, now)
    return mood


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"paused": "paused by hand"}, "by hand"),
        ({"idle_seconds": 2.0}, "somebody is at the machine"),
        ({"other_cores": 3.0}, "other programs use 3.0 cores"),
        ({"program": "blender"}, "own blender"),
        ({"on_battery": True}, "battery"),
        ({"celsius": 86.0}, "86 °C"),
    ],
)
def test_each_objection_freezes_at_once_and_says_why_and_without_its_rule_it_does_not(seen: dict[str, Any], words: str) -> None:
    quiet = {"idle_seconds": 3_600.0, "other_cores": 0.1, "on_battery": False, "celsius": 50.0}
    disturbed = facts(**{**quiet, **seen})
    mood = after(Mood(), (10.0, QUIET), (10.5, disturbed))
    assert (mood.stance, mood.since) == (Stance.FROZEN, 10.5)
    assert words in mood.reason
    if "paused" not in seen:
        assert after(Mood(), (10.0, QUIET), (10.5, disturbed), by=Rules()).stance is Stance.LENDING


def test_what_cannot_be_known_objects_to_nothing_and_is_said() -> None:
    assert after(Mood(), (0.0, facts())).stance is Stance.LENDING
    assert len(unknown(STRICT, facts(sees_all=False))) == 5
    assert len(unknown(STRICT, facts())) == 4
    assert unknown(rules(), facts(sees_all=False)) == (), "without a rule there is nothing to be kept"
    assert unknown(STRICT, QUIET) == ()


def test_the_same_containers_go_on_when_the_person_leaves_soon() -> None:
    mood = after(Mood(), (0.0, facts(idle_seconds=1.0)), (299.0, facts(idle_seconds=299.0)))
    assert mood.stance is Stance.FROZEN
    assert after(mood, (299.5, QUIET)).stance is Stance.LENDING


def test_what_was_frozen_too_long_is_given_back_and_only_once() -> None:
    here = facts(idle_seconds=1.0)
    mood = after(Mood(), (0.0, here), (299.0, here))
    assert mood.stance is Stance.FROZEN
    mood = after(mood, (300.0, here))
    assert (mood.stance, mood.since) == (Stance.RESTING, 300.0)
    assert after(mood, (900.0, here)).since == 300.0
    assert after(mood, (901.0, QUIET)).stance is Stance.LENDING


def test_the_pauses_of_a_compiler_do_not_thaw() -> None:
    busy, still = facts(idle_seconds=3_600.0, other_cores=2.0), QUIET
    mood = after(Mood(), (0.0, busy), (10.0, still), (39.0, still))
    assert mood.stance is Stance.FROZEN
    assert "of calm" in mood.reason
    mood = after(mood, (39.5, busy), (45.0, still), (74.9, still))
    assert mood.stance is Stance.FROZEN
    assert after(mood, (75.0, still)).stance is Stance.LENDING


def test_waiting_for_calm_does_not_put_off_giving_back() -> None:
    busy = facts(idle_seconds=3_600.0, other_cores=2.0)
    assert after(Mood(), (0.0, busy), (290.0, QUIET), (301.0, QUIET)).stance is Stance.RESTING


def test_heat_must_fall_below_the_lower_temperature() -> None:
    warm, hot = facts(idle_seconds=3_600.0, celsius=80.0), facts(idle_seconds=3_600.0, celsius=90.0)
    assert after(Mood(), (0.0, warm)).stance is Stance.LENDING
    assert after(Mood(), (0.0, hot), (10.0, warm)).stance is Stance.FROZEN
    assert after(Mood(), (0.0, hot), (10.0, facts(idle_seconds=3_600.0, celsius=75.0))).stance is Stance.LENDING


def test_outside_the_hours_chunks_are_given_back_at_once_because_waiting_is_no_use() -> None:
    nights = rules(hours=hours({"monday": ["22:00-06:00"]}))
    mood = after(Mood(), (0.0, facts()), by=nights)
    assert mood.stance is Stance.RESTING
    assert "monday 22:00" in mood.reason
    late = facts(local=MONDAY_NOON.replace(hour=23))
    assert after(mood, (1.0, late), by=nights).stance is Stance.LENDING


_SEEN = st.builds(
    facts,
    paused=st.sampled_from([None, None, None, "by hand"]),
    idle_seconds=st.sampled_from([None, 0.0, 299.0, 300.0]),
    other_cores=st.sampled_from([None, 0.0, 4.0]),
    program=st.sampled_from([None, "blender"]),
    on_battery=st.sampled_from([None, True, False]),
    celsius=st.sampled_from([None, 50.0, 80.0, 90.0]),
    local=st.integers(0, 23).map(lambda hour: MONDAY_NOON.replace(hour=hour)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(_SEEN, st.floats(0.1, 200.0)), max_size=30))
def test_whatever_is_seen_the_moves_are_the_tables_and_a_machine_that_does_not_lend_says_why(
    story: list[tuple[Facts, float]],
) -> None:
    strict = Rules(**{**vars(STRICT), "hours": hours({"monday": ["06:00-22:00"]})})
    mood, now = Mood(), 0.0
    for seen, passed in story:
        now += passed
        before, mood = mood, decide(strict, seen, mood, now)
        assert mood.stance is before.stance or mood.stance in MOVES[before.stance]
        assert (mood.stance is Stance.LENDING) == (mood.reason == "")
        assert mood.stance is not Stance.FROZEN or now - mood.since < strict.give_back_seconds
        assert mood.since <= now
