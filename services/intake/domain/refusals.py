"""What intake says no to: a refusal names its kind, what is wrong, and what to do next, in words for the person who asked."""

from enum import StrEnum


class Why(StrEnum):
    MALFORMED = "malformed"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    """Not there, or somebody else's: the answer is the same."""
    CONFLICT = "conflict"
    """Asked at the wrong moment."""
    FORBIDDEN = "forbidden"
    UNAUTHENTICATED = "unauthenticated"
    TOO_MANY = "too_many"
    TOO_LARGE = "too_large"
    LATE = "late"
    """We did not get an answer in time."""


class Refused(Exception):
    """`code` is stable and for programs; `text` and `advice` are for people."""

    def __init__(self, why: Why, code: str, text: str, advice: str) -> None:
        super().__init__(text)
        self.why, self.code, self.text, self.advice = why, code, text, advice


def unknown(what: str) -> Refused:
    """The one answer for "does not exist" and for "is somebody else's"."""
    return Refused(
        Why.UNKNOWN,
        f"unknown-{what}",
        f"This account has no such {what}.",
        f"Check the {what}'s id; things of other accounts cannot be seen.",
    )
