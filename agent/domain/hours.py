"""The hours in which a lender lends: windows per weekday, in the local time of his own machine."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY = 24 * 60
_TEXT = re.compile(r"^\s*([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})\s*$")


@dataclass(frozen=True)
class Window:
    """Minutes of one weekday (0 is Monday): from `first` up to, but without, `last`."""

    weekday: int
    first: int
    last: int


Hours = tuple[Window, ...]


def hours(week: Mapping[str, Iterable[str]]) -> Hours:
    """From texts like "22:00-06:00" per weekday; what crosses midnight goes on in the next day. Raises ValueError."""
    return tuple(window for day, texts in week.items() for text in texts for window in _windows(WEEKDAYS.index(day), text))


def _windows(weekday: int, text: str) -> tuple[Window, ...]:
    first, last = _minutes(text)
    if first < last:
        return (Window(weekday, first, last),)
    rest = (Window((weekday + 1) % 7, 0, last),) if last else ()
    return (Window(weekday, first, DAY), *rest)


def _minutes(text: str) -> tuple[int, int]:
    found = _TEXT.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no time of day: write it like 22:00-06:00")
    first, last = (int(found[hour]) * 60 + int(found[hour + 1]) for hour in (1, 3))
    if first >= DAY or last > DAY or int(found[2]) > 59 or int(found[4]) > 59 or first == last:
        raise ValueError(f"{text!r} is no time of day: from 00:00 to 24:00, and its ends differ")
    return first, last


def is_open(week: Hours, local: datetime) -> bool:
    """Without any window it is always open."""
    minute = local.hour * 60 + local.minute
    return not week or any(one.weekday == local.weekday() and one.first <= minute < one.last for one in week)


def opens(week: Hours, local: datetime) -> str:
    """When it opens next, e.g. "monday 22:00". Only for weeks that have a window."""
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = (midnight + timedelta(days=days, minutes=one.first) for days in range(8) for one in _of(week, midnight, days))
    soonest = min(start for start in starts if start > local)
    return f"{WEEKDAYS[soonest.weekday()]} {soonest:%H:%M}"


def _of(week: Hours, midnight: datetime, days: int) -> Hours:
    weekday = (midnight + timedelta(days=days)).weekday()
    return tuple(one for one in week if one.weekday == weekday)
