"""What was noted is folded into documents one by one: nothing is lost while the database is away, and what cannot be folded at
all takes nothing else with it."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from services.chassis.verdicts import Verdict, verdict

log = structlog.get_logger()

K = TypeVar("K")


async def one_by_one(keys: Iterable[K], fold: Callable[[K], Awaitable[None]]) -> None:
    """Raises as soon as the world is away: the rest would only wait for the same."""
    for key in tuple(keys):
        try:
            await fold(key)
        except Exception as problem:
            if verdict(problem) is Verdict.WORLD:
                raise
            log.exception("what was noted could not be folded and is dropped", of=key)


@contextmanager
def kept_while_away(put_back: Callable[[], None]) -> Iterator[None]:
    """What was taken is put back when the world was away; a fault of ours would only come again."""
    try:
        yield
    except Exception as problem:
        if verdict(problem) is Verdict.WORLD:
            put_back()
        raise
