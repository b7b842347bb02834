"""Dead letters can be looked at, replayed into their one inbox, and dropped; what nobody provably said cannot be replayed."""

from dataclasses import replace

import aio_pika
import pytest

from contracts.bus import new_id
from contracts.events import AccountOpened
from contracts.topology import BILLING, EVENTS, INTAKE
from infra.local import dead
from infra.local.failure import FarmError
from infra.local.farmfile import FarmFile
from services.chassis.inbox import Inboxes
from services.chassis.verdicts import SenderFault
from tests.integration.test_chassis import Consuming
from tests.integration.world import World
from tests.waiting import until


def in_world(world: World) -> FarmFile:
    return replace(world.farm, values={**world.farm.values, "FARM_VHOST": world.vhost})


async def test_a_dead_letter_is_shown_replayed_once_and_gone(world: World) -> None:
    farm, wrong, seen = in_world(world), [True], []
    inboxes = Inboxes(BILLING)

    @inboxes.on(AccountOpened)
    async def on_account_opened(event: AccountOpened) -> None:
        if wrong[0]:
            raise SenderFault("not while we repair this")
        seen.append(event.account)

    async with Consuming(world, inboxes):
        known = new_id()
        await world.say(INTAKE, AccountOpened(account="ann", email="ann@example.org"), id=known)
        await until(lambda: _listed(farm), "the dead letter")
        letters = await dead.listed(farm, BILLING)
        assert [(one.id, one.sender, one.replayable) for one in letters] == [(known, INTAKE, True)]
        assert "not while we repair this" in letters[0].reason
        assert "ann@example.org" in letters[0].body
        wrong[0] = False
        assert await dead.replay(farm, BILLING, lambda one: one.id == known) == 1
        await until(lambda: seen == ["ann"], "the replayed event")
    assert await dead.listed(farm, BILLING) == []


async def test_what_was_refused_for_identity_can_only_be_dropped(world: World) -> None:
    farm, inboxes = in_world(world), Inboxes(BILLING)

    @inboxes.on(AccountOpened)
    async def on_account_opened(event: AccountOpened) -> None:
        raise AssertionError("an unauthenticated message was handled")

    async with Consuming(world, inboxes):
        channel = await (await world.connect(INTAKE, world.farm["FARM_INTAKE_AMQP_PASSWORD"])).channel()
        exchange = await channel.get_exchange(EVENTS, ensure=False)
        body = AccountOpened(account="eve", email="eve@example.org").model_dump_json().encode()
        await exchange.publish(aio_pika.Message(body, delivery_mode=2), AccountOpened.key())
        await until(lambda: _listed(farm), "the dead letter")
    with pytest.raises(FarmError, match="cannot be replayed"):
        await dead.replay(farm, BILLING, lambda _: True)
    assert await dead.drop(farm, BILLING, lambda _: True) == 1
    assert await dead.listed(farm, BILLING) == []


async def _listed(farm: FarmFile) -> bool:
    return bool(await dead.listed(farm, BILLING))
