"""The hours of a lender's week."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.hours import WEEKDAYS, Window, hours, is_open, opens

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def at(text: str) -> datetime:
    day, time = text.split()
    hour, minute = time.split(":")
    return MONDAY + timedelta(days=WEEKDAYS.index(day), hours=int(hour), minutes=int(minute))


def test_a_window_over_midnight_goes_on_in_the_next_day_also_from_sunday_to_monday() -> None:
    week = hours({"sunday": ["22:00-06:00"]})
    assert week == (Window(6, 22 * 60, 24 * 60), Window(0, 0, 6 * 60))
    assert [is_open(week, at(text)) for text in ("sunday 21:59", "sunday 22:00", "monday 05:59", "monday 06:00")] == [
        False,
        True,
        True,
        False,
    ]


def test_without_any_window_it_is_always_open_and_a_day_left_out_is_closed() -> None:
    assert is_open((), at("monday 12:00"))
    assert not is_open(hours({"tuesday": ["00:00-24:00"]}), at("monday 12:00"))
    assert is_open(hours({"tuesday": ["00:00-24:00"]}), at("tuesday 23:59"))


def test_the_next_opening_is_named() -> None:
    week = hours({"monday": ["08:00-09:00"], "wednesday": ["20:30-22:00"]})
    assert opens(week, at("monday 10:00")) == "wednesday 20:30"
    assert opens(week, at("wednesday 23:00")) == "monday 08:00"
    assert opens(hours({"monday": ["08:00-09:00"]}), at("monday 08:00")) == "monday 08:00"


@pytest.mark.parametrize("text", ["", "8-9", "08:00", "08:00-08:00", "25:00-26:00", "08:61-09:00", "24:00-08:00", "22:00-24:30"])
def test_what_is_no_time_of_day_is_refused_with_the_text_in_the_words(text: str) -> None:
    with pytest.raises(ValueError, match="no time of day"):
        hours({"monday": [text]})


@given(st.integers(0, 6), st.integers(0, 23), st.integers(0, 23), st.integers(0, 7 * 24 * 60 - 1))
def test_a_window_is_open_exactly_between_its_ends(day: int, first: int, last: int, minute: int) -> None:
    if first == last:
        return
    length = (last - first) % 24 * 60
    begins = day * 24 * 60 + first * 60
    week = hours({WEEKDAYS[day]: [f"{first:02}:00-{last:02}:00"]})
    assert is_open(week, MONDAY + timedelta(minutes=minute)) == ((minute - begins) % (7 * 24 * 60) < length)
