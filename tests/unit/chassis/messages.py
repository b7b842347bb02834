"""Messages as the broker delivers them."""

from typing import Any

import aio_pika
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from contracts.events import AgentReady
from contracts.topology import AGENTS, route

READY = route(AgentReady)


def delivered(agent: str, exchange: str = AGENTS, body: bytes = b"{}", **properties: Any) -> DeliveredMessage:
    deliver = Basic.Deliver(consumer_tag="t", delivery_tag=1, exchange=exchange, routing_key=f"{agent}.{AgentReady.key()}")
    header = ContentHeader(body_size=len(body), properties=Basic.Properties(**properties))
    nowhere: Any = None  # nobody answers it
    return DeliveredMessage(delivery=deliver, header=header, body=body, channel=nowhere)


def a_message(agent: str = "ann", exchange: str = AGENTS, body: bytes = b"{}", **properties: Any) -> aio_pika.IncomingMessage:
    return aio_pika.IncomingMessage(delivered(agent, exchange, body, **properties))


class Watched(aio_pika.IncomingMessage):
    """Knows whether it was answered."""

    answered = False

    async def ack(self, multiple: bool = False) -> None:
        self.answered = True


def watched(agent: str) -> Watched:
    return Watched(delivered(agent))
