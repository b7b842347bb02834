"""A token bucket that may run into debt: what passes is counted at once, and whoever comes next waits until it is paid."""

from dataclasses import dataclass, replace

BURST_SECONDS = 1.0


@dataclass(frozen=True)
class Bucket:
    """`rate` a second, in bytes or events; `level` in the same, below zero when in debt; `at` by a monotonic clock."""

    rate: float
    level: float
    at: float


def full(rate: float, now: float) -> Bucket:
    return Bucket(rate, rate * BURST_SECONDS, now)


def passed(bucket: Bucket, size: int, now: float) -> tuple[Bucket, float]:
    """The bucket after `size` bytes, and how many seconds to wait for its debt to be paid."""
    level = min(bucket.rate * BURST_SECONDS, bucket.level + (now - bucket.at) * bucket.rate) - size
    return replace(bucket, level=level, at=now), max(0.0, -level / bucket.rate)
