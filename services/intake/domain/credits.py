"""Credits as people write them and as the farm counts them: decimal text outside, integer micro-credits inside."""

import re

from contracts.values import MICRO
from services.intake.domain.refusals import Refused, Why

_AMOUNT = re.compile(r"^(\d{1,12})(?:\.(\d{1,6}))?$", re.ASCII)


def micro(text: str, what: str, most: int) -> int:
    """Micro-credits of a positive decimal amount of at most six decimals and at most `most` micro-credits."""
    match = _AMOUNT.match(text.strip())
    if match is None:
        raise _invalid(what, f'{what} must be a decimal number of credits with at most six decimals, e.g. "0.05".')
    whole, decimals = match.group(1), match.group(2) or ""
    amount = int(whole) * MICRO + int(decimals.ljust(6, "0") or "0")
    if amount == 0:
        raise _invalid(what, f"{what} must be more than 0.")
    if amount > most:
        raise _invalid(what, f"{what} may be at most {credit_text(most)} credits.")
    return amount


def credit_text(amount_micro: int) -> str:
    """`1234500` → `1.2345`: exact, without trailing zeros."""
    sign, amount = ("-" if amount_micro < 0 else ""), abs(amount_micro)
    whole, rest = divmod(amount, MICRO)
    return f"{sign}{whole}.{rest:06d}".rstrip("0").rstrip(".")


def _invalid(what: str, text: str) -> Refused:
    return Refused(Why.INVALID, f"invalid-{what.replace('_', '-')}", text, "Correct the amount and send the request again.")
