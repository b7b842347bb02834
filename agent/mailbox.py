"""What the scheduler and storage say to this agent. We may only read it: declaring, binding and deleting are theirs."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection
from aiormq.exceptions import AMQPError, ChannelInvalidStateError

from agent.journal import NoRoom
from contracts.bus import NotAnEvent, read
from contracts.events import Event
from contracts.topology import AGENT, BY_KEY, mailbox

log = structlog.get_logger()

PREFETCH = 32
PAUSE_SECONDS = 2.0
Taker = Callable[[Event, Mapping[str, str], datetime | None], None]
_TRACE = ("traceparent", "tracestate")


class Mailbox:
    """`broken` is set when a message could not be taken, by a mistake of ours: what it was about will never be done here."""

    def __init__(self, connection: AbstractRobustConnection, agent: str, take: Taker) -> None:
        self._connection, self._agent, self._taker = connection, agent, take
        self.broken = asyncio.Event()

    async def open(self) -> None:
        """Begin to take; comes back by itself after a lost connection. Waits for a mailbox that does not exist yet."""
        while True:
            try:
                channel = await self._connection.channel()
                await channel.set_qos(prefetch_count=PREFETCH)
                queue = await channel.get_queue(mailbox(self._agent), ensure=True)
                await queue.consume(self._take)
                return
            except (AMQPError, ChannelInvalidStateError, ConnectionError, RuntimeError, TimeoutError) as why:
                log.warning("the mailbox cannot be opened yet", why=f"{type(why).__name__}: {str(why)[:200]}")
                await asyncio.sleep(PAUSE_SECONDS)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        """Acked whatever becomes of it: what matters was written to the journal first, what cannot be read never will be, and
        what is beyond us ends this run but not the next one too. While the disk is full it waits, unanswered."""
        was_taken = self._has_taken(message)
        while was_taken is None:
            await asyncio.sleep(PAUSE_SECONDS)
            was_taken = self._has_taken(message)
        try:
            await message.ack()
        finally:
            if not was_taken:
                self.broken.set()

    def _has_taken(self, message: AbstractIncomingMessage) -> bool | None:
        """False only for a mistake of ours, which the libraries would swallow; None while it cannot be written down."""
        try:
            event = read(str(message.type), message.body)
            if BY_KEY[event.key()].subscribers == (AGENT,):
                self._taker(event, _trace(message), message.timestamp)
        except NotAnEvent as wrong:
            log.error("an unreadable message", why=str(wrong)[:300])
        except NoRoom:
            log.warning("a message waits: the disk is full", event_key=message.type)
            return None
        except Exception as ours:
            log.error("a message could not be taken", event_key=message.type, exc_info=ours)
            return False
        return True


def _trace(message: AbstractIncomingMessage) -> dict[str, str]:
    headers = message.headers or {}
    return {name: str(headers[name]) for name in _TRACE if name in headers}
