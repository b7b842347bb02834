"""A database's clock that stands still until a test lets time pass."""

from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    """Stands in for DatabaseClock."""

    def __init__(self) -> None:
        self.at = NOW

    def pass_by(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    async def now(self) -> datetime:
        return self.at
