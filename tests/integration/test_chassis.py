"""The chassis on real RabbitMQ and MongoDB: verdicts, identity, save-and-tell, batches."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import aio_pika
import pytest
import pytest_asyncio
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import OperationFailure

from contracts.bus import Announcer, new_id
from contracts.events import (
    AccountOpened,
    AgentEnrolled,
    BundleStored,
    ChunkCompleted,
    ChunkFailed,
    CreditsOrdered,
    DepositHeld,
    Event,
    Fault,
    FramesSealed,
    JobRendered,
)  # fmt: skip
from contracts.topology import AGENTS, BILLING, EVENTS, INTAKE, SCHEDULER, STORAGE, inbox
from services.chassis.clock import DatabaseClock
from services.chassis.conduct import Limits
from services.chassis.delivery import KEY, REASON, REFUSED, RETRY, SENDER
from services.chassis.disposal import Disposal
from services.chassis.doorkeeper import Doorkeeper
from services.chassis.inbox import Inboxes
from services.chassis.repository import Change, SavedThenTold, Unknown
from services.chassis.verdicts import NotYet, SenderFault
from tests.integration.world import World
from tests.waiting import until


@dataclass(frozen=True)
class Counter:
    name: str
    value: int = 0


def an_order(account: str = "ada") -> CreditsOrdered:
    return CreditsOrdered(order=new_id(), account=account, amount_micro=1_000_000, by="operator")


def a_balance(order: CreditsOrdered) -> DepositHeld:
    return DepositHeld(job=order.order, account=order.account, amount_micro=order.amount_micro, micro_wu_limit=1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def announcer(world: World) -> Announcer:
    return await world.announcer(BILLING)


@pytest_asyncio.fixture(loop_scope="session")
async def counters(world: World, announcer: Announcer) -> AsyncIterator[SavedThenTold[Counter]]:
    collection = world.database("chassis")[new_id()]
    repository = SavedThenTold(BILLING, collection, Counter, announcer, DatabaseClock(world.database("chassis")))
    await repository.pending.ensure_indexes()
    yield repository
    await repository.pending.settled()


class Consuming:
    """Inboxes of one service, consumed inside the test process."""

    def __init__(self, world: World, inboxes: Inboxes) -> None:
        self._world, self.inboxes = world, inboxes
        self._tasks: list[asyncio.Task[None]] = []
        self._stops: list[Any] = []

    async def __aenter__(self) -> "Consuming":
        name = self.inboxes.service
        disposal = Disposal(name, await self._world.announcer(name), Doorkeeper(name, Limits()))
        url = self._world.farm.amqp_url(name, self._world.farm[f"FARM_{name.upper()}_AMQP_PASSWORD"], self._world.vhost)
        broker = self.inboxes.broker(url, disposal)
        await broker.start()
        self._stops.append(broker.stop)
        connection = await self._world.connect(name, self._world.farm[f"FARM_{name.upper()}_AMQP_PASSWORD"])
        for batch in self.inboxes.consumers(disposal):
            await batch.start(connection)
            self._tasks.append(asyncio.create_task(batch.run()))
            self._stops.append(batch.stop)
        return self

    async def __aexit__(self, *_: object) -> None:
        for stop in self._stops:
            await stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_a_service_under_test_reaches_no_database_but_its_own(world: World) -> None:
    """Else a service that reads another's would do so in all tests, and fail in the first farm."""
    client: Any = AsyncIOMotorClient(world.environment(BILLING)["FRAMELEND_MONGO_URL"])
    own, other = (client[world.database(name).name] for name in (BILLING, INTAKE))
    await own["things"].insert_one({"_id": 1})
    assert await own["things"].count_documents({}) == 1
    for reach in (other["things"].insert_one({"_id": 1}), other["things"].find_one({})):
        with pytest.raises(OperationFailure, match="not authorized"):
            await reach
    client.close()


async def test_a_saved_event_is_told_and_then_cleared(world: World, counters: SavedThenTold[Counter]) -> None:
    order = an_order()
    assert await counters.add("a", Counter("a"), [a_balance(order)])
    assert await world.hear(DepositHeld, job=order.order)
    await counters.pending.settled()
    assert (await counters.collection.find_one({"_id": "a"}))["pending"] == []
    assert not await counters.add("a", Counter("a"), [a_balance(order)])
    assert len(world.said(DepositHeld, job=order.order)) == 1


async def test_two_hundred_concurrent_updates_of_one_document_all_count(counters: SavedThenTold[Counter]) -> None:
    await counters.add("hot", Counter("hot"))
    await asyncio.gather(*(counters.update("hot", lambda c, _: (replace(c, value=c.value + 1), [])) for _ in range(200)))
    assert await counters.get("hot") == Counter("hot", 200)


async def test_a_lost_race_in_a_batch_is_told_apart_from_a_won_one(counters: SavedThenTold[Counter]) -> None:
    await counters.add("x", Counter("x"))
    await counters.add("y", Counter("y"))
    before = await counters.read_many(["x", "y"])
    await counters.update("x", lambda c, _: (replace(c, value=7), []))
    won = await counters.save([Change(before["x"], Counter("x", 1)), Change(before["y"], Counter("y", 1))])
    assert won == [False, True]
    assert await counters.get("x") == Counter("x", 7)


async def test_what_is_remembered_and_was_overtaken_loses_its_write_and_is_read_anew(
    world: World, announcer: Announcer, counters: SavedThenTold[Counter]
) -> None:
    """A process that remembers, and another that writes meanwhile."""
    clock = DatabaseClock(world.database("chassis"))
    remembering = SavedThenTold(BILLING, counters.collection, Counter, announcer, clock, remembers=10)
    await remembering.add("z", Counter("z"))
    await counters.update("z", lambda c, _: (replace(c, value=7), []))
    stale = (await remembering.recall_many(["z"]))["z"]
    assert stale.state == Counter("z"), "it was remembered, not read"
    assert [one.state for one in await remembering.current({"_id": "z"})] == [Counter("z", 7)], "versions are compared"
    assert await remembering.save([Change(stale, Counter("z", 1))]) == [False]
    assert (await remembering.recall_many(["z"]))["z"].state == Counter("z", 7)


async def test_updating_what_does_not_exist_says_so(counters: SavedThenTold[Counter]) -> None:
    try:
        await counters.update("nobody", lambda c, _: (c, []))
    except Unknown:
        return
    raise AssertionError("an unknown document was updated")


async def test_what_a_crash_left_unannounced_is_announced_by_the_sweep(world: World, counters: SavedThenTold[Counter]) -> None:
    order = an_order()
    away = SavedThenTold(BILLING, counters.collection, Counter, await _deaf(world), DatabaseClock(world.database("chassis")))
    await away.add("left", Counter("left"), [a_balance(order)])
    assert world.said(DepositHeld, job=order.order) == []
    assert await counters.announce_leftovers(timedelta(0)) == 1
    await world.hear(DepositHeld, job=order.order)


async def _deaf(world: World) -> Announcer:
    """An announcer whose broker is gone."""
    connection = await world.connect(BILLING, world.farm["FARM_BILLING_AMQP_PASSWORD"])
    announcer = Announcer(connection, BILLING)
    await connection.close()
    return announcer


async def test_a_good_message_is_handled_once_and_a_bad_one_is_parked_with_its_reason(world: World) -> None:
    seen: list[str] = []
    inboxes = Inboxes(BILLING)

    @inboxes.on(AccountOpened)
    async def on_account_opened(event: AccountOpened) -> None:
        seen.append(event.account)
        if event.account == "cheat":
            raise SenderFault("not yours")
        if event.account == "bug":
            raise ZeroDivisionError("ours")

    async with Consuming(world, inboxes):
        for account in ("good", "cheat", "bug"):
            await world.say(INTAKE, AccountOpened(account=account, email="a@example.org"))
        await _publish(world, INTAKE, EVENTS, AccountOpened.key(), b"{broken")
        parked = await _parked(world, BILLING, 3)
    assert sorted(seen) == ["bug", "cheat", "good"]
    reasons = sorted(str(message.headers[REASON]) for message in parked)
    assert [reason.split(":")[0] for reason in reasons] == ["NotAnEvent", "SenderFault", "ZeroDivisionError"]
    assert {str(message.headers[SENDER]) for message in parked} == {INTAKE}


async def test_not_yet_comes_back_up_the_ladder_until_it_can_be_handled(world: World) -> None:
    tries: list[int] = []
    inboxes = Inboxes(BILLING)

    @inboxes.on(FramesSealed)
    async def on_frames_sealed(event: FramesSealed) -> None:
        tries.append(event.count)
        if len(tries) < 3:
            raise NotYet("wait for it")

    async with Consuming(world, inboxes):
        await world.say(STORAGE, FramesSealed(job="j", account="a", outcome="rendered", frames=(), count=0))
        await until(lambda: len(tries) == 3, "the third try")
    assert await world.dead(BILLING) == []


async def test_a_batch_judges_each_message_alone(world: World) -> None:
    agent, _ = await world.an_agent()
    taken: list[str] = []
    inboxes = Inboxes(SCHEDULER)

    @inboxes.in_batches(ChunkCompleted)
    async def on_chunk_completed(batch: Any) -> list[BaseException | None]:
        assert all(received.sender == agent for received in batch)
        taken.extend(received.event.chunk for received in batch)
        if any(received.event.chunk == "poison" for received in batch):
            raise ZeroDivisionError("one spoils the batch")
        return [None] * len(batch)

    async with Consuming(world, inboxes):
        for number in range(40):
            await world.say(agent, ChunkCompleted(job="j", chunk="poison" if number == 20 else f"c{number}", attempt="a"))
        parked = await _parked(world, SCHEDULER, 1)
    assert len(set(taken)) == 40
    assert b"poison" in parked[0].body


async def test_an_agents_message_counts_only_under_its_own_authenticated_key(world: World) -> None:
    """CC and BCC slip past the broker's topic permissions, and the user id is optional: the inbox closes both holes."""
    agent, secret = await world.an_agent("honest")
    other, _ = await world.an_agent("victim")
    seen: list[str] = []
    inboxes = Inboxes(SCHEDULER)

    @inboxes.on_agent(ChunkFailed)
    async def on_chunk_failed(sender: str, event: ChunkFailed) -> None:
        seen.append(f"{sender}:{event.chunk}")

    body = ChunkFailed(job="j", chunk="forged", attempt="a", fault=Fault.SCENE).model_dump_json().encode()
    key = f"{agent}.{ChunkFailed.key()}"
    async with Consuming(world, inboxes):
        for header in ("CC", "BCC"):
            cc = {header: [f"{other}.{ChunkFailed.key()}"]}
            await _publish(world, agent, AGENTS, f"{agent}.agent.pulse.v1", body, secret, user_id=agent, headers=cc)
        await _publish(world, agent, AGENTS, key, body, secret, user_id=None)
        ours = {SENDER: other, RETRY: 3, KEY: ChunkFailed.key()}
        await _publish(world, agent, AGENTS, key, body.replace(b"forged", b"real"), secret, user_id=agent, headers=ours)
        await until(lambda: seen, "the honest message")
        parked = await _parked(world, SCHEDULER, 1)
    assert seen == [f"{agent}:real"]
    assert all(message.headers[REFUSED] == "true" for message in parked)


async def _publish(
    world: World,
    user: str,
    exchange: str,
    key: str,
    body: bytes,
    secret: str | None = None,
    user_id: str | None = "",
    headers: dict[str, Any] | None = None,
) -> None:
    connection = await world.connect(user, secret or world.farm[f"FARM_{user.upper()}_AMQP_PASSWORD"])
    channel = await connection.channel()
    target = await channel.get_exchange(exchange, ensure=False)
    name = user if user_id == "" else user_id
    await target.publish(aio_pika.Message(body, user_id=name, headers=headers or {}, delivery_mode=2), key)
    await connection.close()


async def _parked(world: World, service: str, number: int) -> list[Any]:
    found: list[Any] = []

    async def enough() -> bool:
        found.extend(await world.dead(service))
        return len(found) >= number

    await until(enough, f"{number} dead letters of {service}")
    return found


def test_every_event_of_the_tests_is_routed() -> None:
    events: tuple[type[Event], ...] = (AgentEnrolled, BundleStored, JobRendered)
    assert [inbox(INTAKE, event) for event in events] == [f"intake.{event.key()}" for event in events]
