"""When silence counts: not while nobody could be heard."""

from datetime import datetime

from services.scheduler.leases import Hearing
from tests.unit.scheduler.builders import NOW, later


def swept(hearing: Hearing, seconds: range) -> datetime:
    """Asked every two seconds, as the sweep does."""
    for second in seconds:
        since = hearing.since(later(second))
    return since


def test_silence_counts_from_the_first_sweep_while_the_broker_is_there() -> None:
    assert swept(Hearing(lambda: True), range(0, 60, 2)) == NOW


def test_silence_counts_anew_once_the_broker_is_back() -> None:
    there = True
    hearing = Hearing(lambda: there)
    swept(hearing, range(0, 20, 2))
    there = False
    swept(hearing, range(20, 30, 2))
    there = True
    assert swept(hearing, range(30, 60, 2)) == later(28)


def test_silence_counts_anew_after_this_process_was_held_up() -> None:
    hearing = Hearing(lambda: True)
    swept(hearing, range(0, 20, 2))
    assert swept(hearing, range(120, 140, 2)) == later(120)
