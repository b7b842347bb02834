"""Many things, one by one: nothing of what was noted is lost while the database is away, and one that cannot be done at all takes
no other with it."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from services.chassis.verdicts import Verdict, verdict

log = structlog.get_logger()

K = TypeVar("K")


async def one_by_one(keys: Iterable[K], do: Callable[[K], Awaitable[None]]) -> None:
    """Raises as soon as the world is away: the rest would only wait for the same."""
    for key in tuple(keys):
        try:
            await do(key)
        except Exception as problem:
            if verdict(problem) is Verdict.WORLD:
                raise
            log.exception("one of many could not be done and is left out", of=key)


@contextmanager
def kept_while_away(put_back: Callable[[], None]) -> Iterator[None]:
    """What was taken is put back when the world was away; a fault of ours would only come again."""
    try:
        yield
    except Exception as problem:
        if verdict(problem) is Verdict.WORLD:
            put_back()
        raise
