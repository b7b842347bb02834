"""Dead letters: what no service could handle, with its story. The operator lists, shows, replays or drops them.

A replayed message goes to the one inbox it was parked from and to nobody else. What was refused for identity cannot be replayed:
nobody knows who said it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from contracts.topology import BY_KEY, dead_letters
from infra.local.failure import FarmError
from infra.local.farmfile import FarmFile
from services.chassis.delivery import INBOX, KEY, REASON, REFUSED, RETRY, SENDER, VERDICT

MOST = 10_000


@dataclass(frozen=True)
class DeadLetter:
    """`inbox` is the queue it was parked from, `sender` the authenticated user, empty when there is none."""

    id: str
    inbox: str
    event: str
    sender: str
    verdict: str
    reason: str
    body: str
    replayable: bool

    @classmethod
    def of(cls, message: AbstractIncomingMessage) -> DeadLetter:
        headers = message.headers
        death = _death(headers.get("x-death"))
        inbox = str(headers.get(INBOX) or death.get("queue") or "")
        event = str(headers.get(KEY) or message.type or "")
        sender = str(headers.get(SENDER) or _proven(message, death, event))
        refused = headers.get(REFUSED) == "true"
        return cls(
            id=str(message.message_id or ""),
            inbox=inbox,
            event=event,
            sender=sender,
            verdict=str(headers.get(VERDICT) or death.get("reason") or ""),
            reason=str(headers.get(REASON) or f"the broker parked it: {death.get('reason', 'unknown')}"),
            body=message.body.decode(errors="replace"),
            replayable=bool(inbox and sender and event in BY_KEY and not refused),
        )


def _death(story: Any) -> dict[str, Any]:
    return dict(story[0]) if isinstance(story, list) and story else {}


def _proven(message: AbstractIncomingMessage, death: dict[str, Any], event: str) -> str:
    """The sender of a message that the broker itself parked, when its envelope proves one as an inbox would ask."""
    row, user, keys = BY_KEY.get(event), message.user_id, death.get("routing-keys") or []
    if row is None or not user:
        return ""
    return user if f"{user}.{event}" in keys or user == row.publisher else ""


async def listed(farm: FarmFile, service: str) -> list[DeadLetter]:
    """All dead letters of a service; they stay where they are."""
    async with _taken(farm, service) as (_, messages):
        return [DeadLetter.of(message) for message in messages]


async def replay(farm: FarmFile, service: str, which: Callable[[DeadLetter], bool]) -> int:
    """Send them to their inboxes again, as if for the first time; returns how many. Raises FarmError for one that may not be."""
    async with _taken(farm, service) as (channel, messages):
        chosen = [(message, letter) for message in messages if which(letter := DeadLetter.of(message))]
        for _, letter in chosen:
            if not letter.replayable:
                raise FarmError("dead letter", f"{letter.id} cannot be replayed: {letter.reason}", advice="drop it")
        for message, letter in chosen:
            await channel.default_exchange.publish(_again(message, letter), letter.inbox, mandatory=True)
            await message.ack()
        return len(chosen)


async def drop(farm: FarmFile, service: str, which: Callable[[DeadLetter], bool]) -> int:
    """Forget them; returns how many."""
    async with _taken(farm, service) as (_, messages):
        chosen = [message for message in messages if which(DeadLetter.of(message))]
        for message in chosen:
            await message.ack()
        return len(chosen)


def _again(message: AbstractIncomingMessage, letter: DeadLetter) -> aio_pika.Message:
    return aio_pika.Message(
        message.body,
        message_id=message.message_id,
        type=message.type,
        timestamp=message.timestamp,
        correlation_id=message.correlation_id,
        content_type=message.content_type,
        headers={KEY: letter.event, SENDER: letter.sender, RETRY: 0},
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


@asynccontextmanager
async def _taken(farm: FarmFile, service: str) -> AsyncIterator[tuple[AbstractChannel, list[AbstractIncomingMessage]]]:
    """The service's dead letters, unacked; closing the channel gives back what was not acked, in its old order."""
    connection = await aio_pika.connect(farm.amqp_url(*farm.rabbit_admin))
    async with connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        queue = await channel.get_queue(dead_letters(service), ensure=True)
        messages: list[AbstractIncomingMessage] = []
        while len(messages) < MOST and (message := await queue.get(fail=False)) is not None:
            messages.append(message)
        yield channel, messages


def lines(letters: list[DeadLetter]) -> str:
    """One JSON object a line, without bodies."""
    return "\n".join(json.dumps({k: v for k, v in vars(letter).items() if k != "body"}) for letter in letters)
