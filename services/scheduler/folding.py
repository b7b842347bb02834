"""Many things, one by one: nothing of what was noted is lost while the database is away, and one that cannot be done at all takes
no other with it."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import structlog

from services.chassis.verdicts import Verdict, verdict

log = structlog.get_logger()

K = TypeVar("K")
T = TypeVar("T")


async def one_by_one(keys: Iterable[K], do: Callable[[K], Awaitable[None]]) -> list[Exception]:
    """What went wrong with some of them. Raises as soon as the world is away: the rest would only wait for the same."""
    wrong: list[Exception] = []
    for key in tuple(keys):
        try:
            await do(key)
        except Exception as problem:
            if verdict(problem) is Verdict.WORLD:
                raise
            log.exception("one of many could not be done and is left out", of=key)
            wrong.append(problem)
    return wrong


class Sweeping:
    """One round over many lists: whatever cannot be done keeps nothing else from being done."""

    def __init__(self) -> None:
        self.found = 0
        self._wrong: list[Exception] = []

    async def each(self, items: Mapping[str, T], do: Callable[[T], Awaitable[None]]) -> None:
        """`items` by name, for the log. Raises only when the world is away."""
        self.found += len(items)
        self._wrong += await one_by_one(items, lambda name: do(items[name]))

    def owned_up(self) -> None:
        """Raises what went wrong, at the end of the round."""
        owned_up(self._wrong)


def owned_up(wrong: Sequence[Exception]) -> None:
    """Raises what went wrong after everything else was done, so that it is counted and somebody is called."""
    if wrong:
        raise ExceptionGroup("some of many could not be done", wrong)


@contextmanager
def kept_while_away(put_back: Callable[[], None]) -> Iterator[None]:
    """What was taken is put back when the world was away; a fault of ours would only come again."""
    try:
        yield
    except Exception as problem:
        if verdict(problem) is Verdict.WORLD:
            put_back()
        raise
