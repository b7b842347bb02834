"""What a live broker reports is what ROUTES says, and each service may do exactly its own part of it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import aio_pika
import httpx
import pytest
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from contracts import topology
from contracts.events import BalanceChanged, Event
from contracts.shards import shard_of
from infra.local.farmfile import FarmFile
from infra.local.infrastructure import RABBITMQ_SERVER, rabbit_environment
from infra.local.layout import Layout
from infra.rabbitmq import definitions
from infra.rabbitmq.config import ADVANCED

RABBITMQCTL = RABBITMQ_SERVER.with_name("rabbitmqctl")
OLD_SETTINGS = {"x-queue-type": "quorum", "x-max-length": 1}


class Broker:
    """The management API, seen from one virtual host of our own."""

    def __init__(self, farm: FarmFile) -> None:
        self.farm = farm
        self.vhost = f"test-{uuid4().hex[:10]}"
        self._client = httpx.Client(base_url=farm.http("RABBIT_MANAGEMENT"), auth=farm.rabbit_admin, trust_env=False)

    def apply(self, shards: int = 1) -> None:
        passwords = self.farm.service_passwords("AMQP")
        definitions.apply(self.farm.http("RABBIT_MANAGEMENT"), self.farm.rabbit_admin, self.vhost, passwords, shards)

    def close(self) -> None:
        definitions.drop(self.farm.http("RABBIT_MANAGEMENT"), self.farm.rabbit_admin, self.vhost)
        self._client.close()

    def ask(self, method: str, path: str, **words: Any) -> Any:
        answer = self._client.request(method, path.format(self.vhost), **words)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def definitions(self) -> Any:
        """The virtual host as the broker exports it, in an order of its own."""
        told = self.ask("GET", "/api/definitions/{}")
        return {kind: sorted(map(repr, told[kind])) for kind in ("exchanges", "queues", "bindings")}

    def queues(self) -> dict[str, dict[str, Any]]:
        told = self.ask("GET", "/api/definitions/{}")["queues"]
        return {queue["name"]: queue["arguments"] for queue in told}

    def bindings(self) -> set[tuple[str, str, str]]:
        told = self.ask("GET", "/api/definitions/{}")["bindings"]
        return {(row["source"], row["routing_key"], row["destination"]) for row in told}

    def replace(self, queue: str) -> None:
        """Give the queue other settings than ROUTES."""
        self.ask("DELETE", f"/api/queues/{{}}/{queue}")
        self.ask("PUT", f"/api/queues/{{}}/{queue}", json={"durable": True, "arguments": OLD_SETTINGS})

    def put(self, queue: str) -> None:
        letter = {"properties": {}, "routing_key": queue, "payload": "x", "payload_encoding": "string"}
        assert self.ask("POST", "/api/exchanges/{}/amq.default/publish", json=letter)["routed"]


@pytest.fixture
def broker(farm: FarmFile) -> Iterator[Broker]:
    it = Broker(farm)
    it.apply()
    yield it
    it.close()


def test_the_live_broker_has_exactly_the_queues_and_bindings_of_routes(broker: Broker) -> None:
    assert broker.queues() == {queue.name: queue.arguments for queue in topology.queues()}
    wanted = {(source, key, queue.name) for queue in topology.queues() for source, key in queue.bindings}
    assert broker.bindings() == wanted


def test_the_broker_takes_as_little_of_one_channel_at_once_as_it_is_told(farm: FarmFile) -> None:
    """It starts without a word when it does not find the file."""
    folder = rabbit_environment(Layout.of().data("rabbitmq"), farm)
    told = subprocess.run([RABBITMQCTL, "environment"], env={**os.environ, **folder}, capture_output=True, check=True).stdout
    wanted = re.findall(
        r"\{(?:quorum_commands_soft_limit|credit_flow_default_credit),.+\}", "".join(ADVANCED.read_text().split(" "))
    )
    assert len(wanted) == 2
    assert all(one in told.decode() for one in wanted)


def test_applying_the_topology_again_changes_nothing(broker: Broker) -> None:
    before = broker.definitions()
    broker.apply()
    assert broker.definitions() == before


def test_an_empty_queue_with_old_settings_is_replaced(broker: Broker) -> None:
    name = _any_inbox()
    wanted = broker.queues()[name]
    broker.replace(name)
    assert broker.queues()[name] != wanted
    broker.apply()
    assert broker.queues()[name] == wanted


def _any_inbox() -> str:
    return next(queue.name for queue in topology.queues())


def test_a_queue_with_old_settings_and_messages_is_never_thrown_away(broker: Broker) -> None:
    broker.replace(_any_inbox())
    broker.put(_any_inbox())
    with pytest.raises(definitions.TopologyConflict, match="not empty"):
        broker.apply()
    assert broker.queues()[_any_inbox()] == OLD_SETTINGS


def test_what_routes_no_longer_name_goes_and_mailboxes_stay(broker: Broker) -> None:
    for name in ("intake.forgotten.v1", "agent.house"):
        broker.ask("PUT", f"/api/queues/{{}}/{name}", json={"durable": True})
    old = {"routing_key": "forgotten.v1"}
    broker.ask("POST", f"/api/bindings/{{}}/e/{topology.EVENTS}/q/{_any_inbox()}", json=old)
    broker.ask("POST", f"/api/bindings/{{}}/e/{topology.MAILBOXES}/q/agent.house", json={"routing_key": "house"})
    broker.apply()
    assert "intake.forgotten.v1" not in broker.queues()
    assert "agent.house" in broker.queues()
    assert (topology.EVENTS, "forgotten.v1", _any_inbox()) not in broker.bindings()
    assert (topology.MAILBOXES, "house", "agent.house") in broker.bindings()


def test_growing_leads_every_agent_to_its_own_shard_and_nowhere_else(broker: Broker) -> None:
    agents = [f"agent-{number}" for number in range(8)]
    for agent in agents:
        broker.ask("PUT", f"/api/queues/{{}}/{topology.mailbox(agent)}", json={"durable": True})
    for shards in (2, 3):
        broker.apply(shards)
        assert set(broker.queues()) >= {queue.name for queue in topology.queues(shards)}
        ways = {(key, to) for source, key, to in broker.bindings() if source == topology.AGENTS and to.startswith("farm.shard.")}
        assert ways == {(f"{agent}.#", f"farm.shard.{shard_of(agent, shards)}") for agent in agents}
        assert (topology.AGENTS, "*.chunk.completed.v1", "scheduler.chunk.completed.v1") not in broker.bindings()


@pytest.mark.long  # queues are watched for a while before they go
def test_shrinking_again_leaves_what_there_was(broker: Broker) -> None:
    before = broker.bindings(), broker.queues()
    broker.apply(2)
    broker.apply()
    assert (broker.bindings(), broker.queues()) == before


async def _publish(broker: Broker, service: str, event: type[Event]) -> None:
    url = broker.farm.amqp_url(service, broker.farm.service_passwords("AMQP")[service], broker.vhost)
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(topology.exchange(event), ensure=False)
        await exchange.publish(aio_pika.Message(b"{}"), event.key())


async def test_a_service_publishes_its_own_facts_and_nobody_elses(broker: Broker) -> None:
    await _publish(broker, topology.route(BalanceChanged).publisher, BalanceChanged)
    with pytest.raises(ChannelAccessRefused):
        await _publish(broker, topology.NOTIFIER, BalanceChanged)


async def _open(broker: Broker, service: str, queue: str) -> None:
    url = broker.farm.amqp_url(service, broker.farm.service_passwords("AMQP")[service], broker.vhost)
    connection = await aio_pika.connect(url)
    async with connection:
        inbox = await (await connection.channel()).get_queue(queue, ensure=False)
        async with inbox.iterator():
            """Consuming was allowed."""


async def test_a_service_reads_its_own_inboxes_and_nobody_elses(broker: Broker) -> None:
    await _open(broker, topology.INTAKE, topology.inbox(topology.INTAKE, BalanceChanged))
    with pytest.raises(ChannelAccessRefused):
        await _open(broker, topology.NOTIFIER, topology.inbox(topology.INTAKE, BalanceChanged))


async def test_a_message_larger_than_the_limit_is_refused(broker: Broker) -> None:
    connection = await aio_pika.connect(broker.farm.amqp_url(*broker.farm.rabbit_admin, broker.vhost))
    async with connection:
        channel = await connection.channel()
        exchange = channel.default_exchange
        await exchange.publish(aio_pika.Message(b"x" * topology.MAX_MESSAGE_BYTES), _any_inbox())
        with pytest.raises(ChannelPreconditionFailed, match="max size"):
            await exchange.publish(aio_pika.Message(b"x" * (topology.MAX_MESSAGE_BYTES + 1)), _any_inbox())
