"""One agent floods the farm with all the broker takes from it: it is counted, cut off and kept out, and the others work on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from contracts.bus import NotAnnounced, new_id
from contracts.events import AgentChanged, AgentReady, AttemptVoid
from contracts.values import Hardware
from infra.local.farmfile import FarmFile
from services.chassis.conduct import Limits
from tests.bench.ear import Ear
from tests.integration.world import World
from tests.security.flood import Flooded, Lender, a_busy_farm, flooding, metric
from tests.waiting import until

HONEST, SECONDS, LONG_SECONDS = 20, 1.5, 60.0
GIB = 1 << 30
KINDS = ("valid", "broken")
UNGUARDED = {"FRAMELEND_GUARD_INBOXES": "false"}
UNSEEN = ("transaction", "expired", "given-back")


@asynccontextmanager
async def a_world_at_work(farm: FarmFile, agents: int, **settings: str) -> AsyncIterator[Flooded]:
    world = World(farm, listens=False)
    await world.open()
    try:
        async with a_busy_farm(world, agents, **settings) as it:
            yield it
    finally:
        await world.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def flooded(farm: FarmFile) -> AsyncIterator[Flooded]:
    async with a_world_at_work(farm, HONEST) as it:
        yield it


async def flood(farm: Flooded, kind: str, seconds: float) -> tuple[Lender, dict[str, Any]]:
    """Meanwhile and afterwards the others get their chunks."""
    lender = await farm.a_lender()
    async with farm.swarm.closed_loop():
        async with flooding(lender, kind, seconds) as flooder:
            before = farm.swarm.tally.assigned
            await until(lambda: farm.swarm.tally.assigned > before, "others get work while it floods")
            told = await flooder
        after = farm.swarm.tally.assigned
        await until(lambda: farm.swarm.tally.assigned > after + HONEST, "others get work after it")
    await farm.swarm.all_hold()
    assert not farm.swarm.tally.wrong, farm.swarm.tally.wrong[:5]
    return lender, told


async def is_counted_and_cut_off(farm: Flooded, kind: str, seconds: float) -> None:
    parked, quarantined = await farm.parked(), await metric(farm.scheduler, "framelend_scheduler_agents_quarantined_total")
    ear = Ear(farm.world, AgentChanged)
    await ear.open()
    lender, told = await flood(farm, kind, seconds)
    assert told["said"] > Limits().events_burst, "it was no flood"
    assert told["cut_after"] is not None, "it was never cut off"
    assert told["logins"] == 1, "it came in again"
    document = await farm.document(lender.agent)
    assert (document["state"], document["access"]) == ("quarantined", "closed")
    assert "cut off at" in document["reason"]
    await until(lambda: ear.of(AgentChanged, agent=lender.agent, state="quarantined"), "everybody is told")
    assert await metric(farm.scheduler, "framelend_scheduler_agents_quarantined_total") == quarantined + 1
    assert await farm.parked() - parked <= 2, "one example per agent and minute is parked"
    assert '"agent misbehaves"' in (log := farm.scheduler.log.read_text())
    assert f'"agent": "{lender.agent}"' in log


@pytest.mark.parametrize("kind", KINDS)
async def test_a_flooder_is_counted_quarantined_and_cut_off_while_the_others_work_on(flooded: Flooded, kind: str) -> None:
    await is_counted_and_cut_off(flooded, kind, SECONDS)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
async def test_a_flooder_that_tries_for_a_minute_stays_out(flooded: Flooded, kind: str) -> None:
    await is_counted_and_cut_off(flooded, kind, LONG_SECONDS)


async def test_a_flood_that_only_storage_hears_ends_the_same_way(flooded: Flooded) -> None:
    bucket = f"test-{flooded.world.token}"
    storage = await flooded.world.start("storage", FRAMELEND_S3_BUCKET=bucket)
    lender, told = await flood(flooded, "for-storage", SECONDS)
    assert told["cut_after"] is not None, "it was never cut off"
    assert (await flooded.document(lender.agent))["state"] == "quarantined"
    assert await metric(storage, "framelend_agent_misconduct_total", service="storage") >= 1
    assert await flooded.parked("storage") <= 2
    storage.kill()


async def arrives(farm: Flooded, lender: Lender) -> bool:
    """What it can hand back."""
    try:
        await farm.world.say("scheduler", AttemptVoid(agent=lender.agent, job="j", chunk="c", attempt="a", reason="because"))
    except NotAnnounced:
        return False
    return True


@pytest.mark.long
@pytest.mark.parametrize("kind", UNSEEN)
async def test_a_flood_that_never_reaches_an_inbox_is_seen_at_the_broker(flooded: Flooded, kind: str) -> None:
    """The broker counts every five seconds; what goes on for twenty is a habit, what would fill its memory is seen at once."""
    lender = await flooded.a_lender()
    await until(lambda: arrives(flooded, lender), "a word in its mailbox, which is made a moment after the user")
    async with flooding(lender, kind, SECONDS) as flooder:
        alarms = await flooded.alarms_while(flooder)
        told = await flooder
    print(f"{kind}: {told}")
    assert told["cut_after"] is not None, told
    assert (await flooded.document(lender.agent))["state"] == "quarantined"
    assert alarms == 0, "for so long nobody could say anything"


@pytest.mark.long
async def test_without_the_guard_a_transaction_takes_everybodys_voice(farm: FarmFile) -> None:
    """The positive control: it fills the broker's memory."""
    async with a_world_at_work(farm, 2, **UNGUARDED) as it:
        lender = await it.a_lender()
        async with flooding(lender, "transaction", LONG_SECONDS, longest=LONG_SECONDS) as flooder:
            await until(it.is_alarmed, "nobody may publish", LONG_SECONDS)
            assert not flooder.done()

        async def is_over() -> bool:
            return not await it.is_alarmed()

        await until(is_over, "the broker has its memory back", 120)


async def test_released_by_the_operator_it_is_heard_again(flooded: Flooded) -> None:
    lender, told = await flood(flooded, "valid", SECONDS)
    assert told["cut_after"] is not None
    await flooded.operator("release", lender.agent)
    await until(lambda: flooded.is_in(lender.agent, lender.secret), "it may log in with the secret it had")
    await flooded.world.announcer(lender.agent, lender.secret)

    async def heard() -> bool:
        ready = AgentReady(run=new_id(), slots=0, hardware=Hardware(cores=1, memory_bytes=GIB, system="mended"))
        await flooded.world.say(lender.agent, ready)
        return bool((await flooded.document(lender.agent))["state"] == "draining")

    await until(heard, "the running scheduler hears it")


async def test_without_the_guard_nobody_stops_it_and_parking_grows(farm: FarmFile) -> None:
    """The positive control: the same flood, the guard switched off."""
    async with a_world_at_work(farm, 2, **UNGUARDED) as it:
        lender = await it.a_lender()
        async with flooding(lender, "broken", SECONDS, longest=SECONDS) as flooder:
            told = await flooder
        assert told["cut_after"] is None
        assert (await it.document(lender.agent))["state"] == "enrolled"

        async def grown() -> bool:
            return await it.parked() > 100

        await until(grown, "parking grows")
        it.scheduler.kill()
