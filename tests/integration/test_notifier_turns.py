"""The notifier's worker on a real database: whose turn it is, and what becomes of a sending that nobody foresaw."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.bus import Announcer
from contracts.topology import NOTIFIER
from services.chassis.clock import DatabaseClock
from services.chassis.doorkeeper import Doorkeeper
from services.chassis.service import Ground
from services.notifier.app import Settings
from services.notifier.domain.delivery import Channel, Delivery, Progress
from services.notifier.repository import Deliveries
from services.notifier.sending import Refused
from services.notifier.webhook import Call, Webhooks
from services.notifier.work import PLACES, Worker
from tests.integration.world import World

MANY = 3 * PLACES
WAITS = (60.0,)
EARLIER = datetime(2026, 1, 1, tzinfo=UTC)


async def the_deliveries(world: World) -> Deliveries:
    told = {**world.environment(NOTIFIER), "FRAMELEND_HTTP_PORT": "0"}
    named: dict[str, Any] = {name.removeprefix("FRAMELEND_").lower(): value for name, value in told.items()}
    settings = Settings(**{name: named[name] for name in named.keys() & Settings.model_fields})
    database = world.database(NOTIFIER)
    connection = await world.connect(NOTIFIER, world.farm["FARM_NOTIFIER_AMQP_PASSWORD"])
    clock, announcer = DatabaseClock(database), Announcer(connection, NOTIFIER)
    ground = Ground(NOTIFIER, settings, database, clock, connection, announcer, Doorkeeper(NOTIFIER))
    deliveries = Deliveries(ground, timedelta(seconds=60), WAITS)
    await deliveries.saved.collection.delete_many({})
    await deliveries.ensure_indexes()
    return deliveries


def one_for(account: str, number: int) -> Delivery:
    return Delivery(f"{account}.{number}", Channel.WEBHOOK, account, "job.failed.v1", "{}", EARLIER + timedelta(seconds=number))


async def test_who_has_very_many_due_is_told_one_a_round_and_keeps_nobody_else(world: World) -> None:
    deliveries, told = await the_deliveries(world), list[str]()

    async def send(one: Delivery) -> None:
        told.append(one.account)

    await deliveries.add([*(one_for("ada", number) for number in range(MANY)), one_for("bob", MANY), one_for("cid", MANY)])
    first = await deliveries.open(Channel.WEBHOOK, (), PLACES)
    assert {one.account for one in first} == {"ada"}, "control: all the oldest are hers"
    worker = Worker(deliveries, {Channel.WEBHOOK: send})
    await worker.look(Channel.WEBHOOK)
    await worker.stop()
    assert sorted(told) == ["ada", "bob", "cid"]
    await worker.look(Channel.WEBHOOK)
    await worker.stop()
    assert sorted(told) == ["ada", "ada", "bob", "cid"]


async def test_a_sending_that_breaks_off_unforeseen_has_its_tries_and_no_more(world: World) -> None:
    deliveries = await the_deliveries(world)

    async def send(_: Delivery) -> None:
        raise RuntimeError("nobody thought of this")

    await deliveries.add([one_for("ada", 0)])
    worker = Worker(deliveries, {Channel.WEBHOOK: send})
    for progress in (Progress.DUE, Progress.FAILED):
        await worker.look(Channel.WEBHOOK)
        await worker.stop()
        found = await deliveries.saved.get("ada.0:webhook")
        assert found is not None
        assert (found.progress, "nobody thought of this" in found.problem) == (progress, True)
        await deliveries.saved.collection.update_many({}, {"$set": {"due_at": EARLIER}})


async def test_where_nobody_can_ask_for_the_name_nobody_is_called() -> None:
    webhooks = Webhooks(allow_private=True)
    for url in ("http://a..b/", f"http://{'a' * 64}.example/"):
        with pytest.raises(Refused, match="not an address"):
            await webhooks.send(Call(url, "msg_1", "{}", EARLIER), "whsec_c2VjcmV0")
    await webhooks.close()
