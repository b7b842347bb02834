"""Messages as the broker delivers them."""

from typing import Any

import aio_pika
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from contracts.events import AgentReady
from contracts.topology import AGENTS


def a_message(agent: str = "ann", exchange: str = AGENTS, body: bytes = b"{}", **properties: Any) -> aio_pika.IncomingMessage:
    deliver = Basic.Deliver(consumer_tag="t", delivery_tag=1, exchange=exchange, routing_key=f"{agent}.{AgentReady.key()}")
    header = ContentHeader(body_size=len(body), properties=Basic.Properties(**properties))
    nowhere: Any = None  # nobody answers it
    return aio_pika.IncomingMessage(DeliveredMessage(delivery=deliver, header=header, body=body, channel=nowhere))
