"""How often somebody may ask: a token bucket per name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """`burst` at once, `per_second` in the long run."""

    per_second: float
    burst: float


@dataclass(frozen=True)
class Tokens:
    left: float
    at: float
    """Seconds on any clock that only goes forward."""


def taken(tokens: Tokens | None, rate: Rate, now: float) -> tuple[Tokens, float]:
    """What is left after one request, and how many seconds it has to wait: 0 when it may go on."""
    left = rate.burst if tokens is None else min(rate.burst, tokens.left + (now - tokens.at) * rate.per_second)
    if left >= 1:
        return Tokens(left - 1, now), 0.0
    return Tokens(left, now), (1 - left) / rate.per_second
