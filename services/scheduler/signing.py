"""The last step before something reaches a mailbox: is it still true, and if it is an assignment, sign its grant.

Nothing that grants anything is ever saved; what a crash left is looked at again before it is told. What is told at once stands on
the conditional write that has just made it so: asking again would only move the same gap by a millisecond.
"""

from collections.abc import Awaitable, Callable, Mapping

from contracts.events import AttemptCancelled, AttemptVoid, ChunkAssigned, Event
from contracts.grants import sign

Holds = Callable[[str, str], Awaitable[bool]]


class Signing:
    """`finish` of the chunks' repository. `holds(chunk, attempt)` and `is_revoked(agent)` ask the database."""

    def __init__(self, keys: Mapping[str, bytes], holds: Holds, is_revoked: Callable[[str], Awaitable[bool]]) -> None:
        self._keys, self._holds, self._is_revoked = keys, holds, is_revoked

    async def finish(self, event: Event, is_fresh: bool = False) -> Event | None:
        """The event as it may be told, or None when it no longer holds. `is_fresh`: saved a moment ago."""
        if isinstance(event, ChunkAssigned):
            if not is_fresh and not await self._holds(event.grant.chunk, event.grant.attempt):
                return None
            return event.model_copy(update={"grant": sign(event.grant, self._keys)})
        if isinstance(event, AttemptVoid | AttemptCancelled) and await self._is_revoked(event.agent):
            return None
        return event
