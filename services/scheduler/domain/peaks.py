"""What was seen of a job's need for memory, as the job keeps it; what it means is in domain.memory."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MemoryPeak:
    """The most that attempts on one owner's machines took."""

    owner: str
    house: bool
    peak_bytes: int


@dataclass(frozen=True)
class Raised:
    """The guess was doubled from `before` at lenders' word, until the house has rendered this chunk."""

    chunk: str
    before: int
    attempt: str = ""
    peak_bytes: int = 0
    """Of the house's last attempt."""
