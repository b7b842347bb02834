"""What a person types, read before anything is sent: amounts of credits, moments, frame lists."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

from framelend.problems import LocalProblem

T = TypeVar("T")
MOMENT = "2027-01-31T18:00"
"""As examples show it."""
_AMOUNT = re.compile(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)
_FRAMES = re.compile(r"(-?\d{1,7})(?:-(-?\d{1,7})(?:x(\d{1,7}))?)?", re.ASCII)


def if_said(read: Callable[[str], T], text: str | None) -> T | None:
    """An option that was given empty was given."""
    return None if text is None else read(text)


def amount(text: str) -> Decimal:
    """Above zero, as the farm writes it: `nan` and `inf` are decimals too, and no amounts."""
    read = Decimal(text.strip()) if _AMOUNT.fullmatch(text.strip()) else Decimal(0)
    if read == 0:
        raise LocalProblem(f"{text!r} is no amount of credits: write a number above 0 with at most six decimals, like 2.5.")
    return read


def moment(text: str) -> datetime:
    """A time without zone is this machine's."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise LocalProblem(f"{text!r} is no time like {MOMENT}.") from None


def frame_list(text: str) -> str:
    """The same text, if the farm can read it; how many frames there may be, and where, is the farm's to say."""
    parts = [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    wrong = next((part for part in parts if not _is_a_range(part)), "" if parts else text)
    if not parts or wrong:
        raise LocalProblem(f'{wrong[:40]!r} is no frame and no range of frames. Write frames like "1-48,60,100-200x2".')
    return text


def _is_a_range(part: str) -> bool:
    found = _FRAMES.fullmatch(part)
    if found is None:
        return False
    first, last, step = found.groups()
    return last is None or (int(first) <= int(last) and (step is None or int(step) > 0))
