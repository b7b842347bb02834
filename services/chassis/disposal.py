"""What becomes of a message after its verdict: acked, sent up the retry ladder, or parked with its story."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence

import aio_pika
import structlog
from aiormq.exceptions import AMQPError, ChannelInvalidStateError

from contracts.bus import Announcer, NotAnnounced
from contracts.topology import AGENT, DEAD, RETRIES, Route, inbox, retry
from services.chassis.arrivals import Message
from services.chassis.delivery import (
    INBOX,
    KEY,
    REASON,
    REFUSED,
    RETRY,
    SENDER,
    VERDICT,
    Impostor,
    retries_of,
    speaker,
    trace_of,
)  # fmt: skip
from services.chassis.doorkeeper import Doorkeeper
from services.chassis.metrics import MESSAGES
from services.chassis.verdicts import Verdict, verdict

log = structlog.get_logger()

NOT_YET_PER_MINUTE = 200
"""Of one agent; beyond that its early facts count as its own fault."""
SETTLE_SECONDS = 30
TAIL_SECONDS = 0.05
"""How long what is dropped gathers before it is answered."""


class PerMinute:
    """How often something happened in the current minute, per name."""

    def __init__(self) -> None:
        self._minute = 0
        self._counts: dict[str, int] = defaultdict(int)

    def count(self, name: str) -> int:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, defaultdict(int)
        self._counts[name] += 1
        return self._counts[name]


class Disposal:
    """Of one service. Never raises: when the broker is away the message comes back by itself."""

    def __init__(self, service: str, announcer: Announcer, doorkeeper: Doorkeeper) -> None:
        self._service = service
        self._announcer = announcer
        self.doorkeeper = doorkeeper
        self._offences, self._early = PerMinute(), PerMinute()
        self._dropped: dict[str, list[Message]] = {}
        self._holding: set[asyncio.Task[None]] = set()

    async def dispose(self, message: Message, row: Route, raised: BaseException | None) -> None:
        """Ack, retry or park one message according to the verdict table."""
        judged = self._judge(message, row, raised)
        MESSAGES.labels(self._service, row.event.key(), judged.value).inc()
        try:
            if judged is Verdict.DONE:
                await message.ack()
            elif judged in (Verdict.NOT_YET, Verdict.WORLD) and retries_of(message) < RETRIES:
                await self._retry(message, row)
            else:
                await self._park(message, row, judged, raised)
        except NotAnnounced:
            await _quietly(message.nack(requeue=True))
        except (AMQPError, ChannelInvalidStateError, RuntimeError, ConnectionError):
            log.info("message returns by itself, the channel is gone", event_key=row.event.key())
        except Exception:  # ours, and met by one message: those taken with it are to be answered all the same
            log.exception("not disposed of", event_key=row.event.key())
            await _quietly(_back(message, row))

    async def done(self, messages: Sequence[Message], row: Route) -> None:
        """Acks what nothing was wrong with."""
        MESSAGES.labels(self._service, row.event.key(), Verdict.DONE.value).inc(len(messages))
        for message in messages:
            await _quietly(message.ack())

    def drop(self, message: Message) -> None:
        """Unread: the doorkeeper has not let it in. It is answered with all others of its agent: a task for every message would
        keep everybody waiting as long as the flood itself. The task is ours: a consumer's ends with its channel, and whoever
        speaks after that would never be answered."""
        who = speaker(message)
        if who in self._dropped:
            self._dropped[who].append(message)
            return
        self._dropped[who] = [message]
        task = asyncio.create_task(self._answer(who))
        self._holding.add(task)
        task.add_done_callback(self._holding.discard)

    async def settled(self) -> None:
        """Waits until what was dropped so far is answered."""
        if self._holding:
            await asyncio.wait(self._holding, timeout=SETTLE_SECONDS)

    async def _answer(self, who: str) -> None:
        """Not at once: every answer lets the broker send as many more, and a flood's tail that is thrown away three by three
        keeps broker and service from everybody else as long as the flood itself."""
        try:
            await self.doorkeeper.hold(who)
            await asyncio.sleep(TAIL_SECONDS)
        finally:
            dropped = self._dropped.pop(who)
        for message in dropped:
            await _quietly(message.ack())

    def _judge(self, message: Message, row: Route, raised: BaseException | None) -> Verdict:
        judged, who = verdict(raised), speaker(message)
        if judged is Verdict.NOT_YET and row.publisher == AGENT and self._early.count(who) > NOT_YET_PER_MINUTE:
            judged = Verdict.SENDER
        if judged is Verdict.SENDER:
            self.doorkeeper.erred(who, row)
        return judged

    async def _retry(self, message: Message, row: Route) -> None:
        tried = retries_of(message)
        moved = _moved(message, row, {RETRY: tried + 1})
        await self._announcer.publish(retry(self._service, tried), inbox(self._service, row.event), moved)
        await message.ack()

    async def _park(self, message: Message, row: Route, judged: Verdict, raised: BaseException | None) -> None:
        who = speaker(message)
        if judged is not Verdict.SENDER or self._is_example(who, row):
            reason = f"{type(raised).__name__}: {raised}"[:1000]
            if judged is Verdict.OURS:
                log.error("parked: our fault", event_key=row.event.key(), sender=who, exc_info=raised)
            else:
                log.warning("parked", event_key=row.event.key(), sender=who, verdict=judged.value, reason=reason)
            story = {INBOX: inbox(self._service, row.event), REASON: reason, VERDICT: judged.value}
            story[REFUSED] = str(isinstance(raised, Impostor)).lower()
            await self._announcer.publish(DEAD, self._service, _moved(message, row, story))
        await message.ack()

    def _is_example(self, who: str, row: Route) -> bool:
        """Of an agent's faults one a minute is kept to be looked at."""
        return row.publisher != AGENT or not self.doorkeeper.guards or self._offences.count(who) == 1


def _moved(message: Message, row: Route, headers: Mapping[str, str | int]) -> aio_pika.Message:
    """The same body and message id under our own headers; the user id moves into one, since the broker checks the property."""
    ours = {KEY: row.event.key(), SENDER: speaker(message), **headers}
    return aio_pika.Message(
        message.body,
        message_id=message.message_id,
        type=message.type,
        timestamp=message.timestamp,
        correlation_id=message.correlation_id,
        content_type=message.content_type,
        headers={**trace_of(message), **ours},
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


def _back(message: Message, row: Route) -> Awaitable[None]:
    """To the inbox, which counts how often it hands a message out and ends that; where it does not, the message may be lost."""
    return message.ack() if row.transient else message.nack(requeue=True)


async def _quietly(doing: "asyncio.Future[None] | object") -> None:
    try:
        await doing  # type: ignore[misc]  # an awaitable of aio-pika's
    except (AMQPError, ChannelInvalidStateError, RuntimeError, ConnectionError):
        return
