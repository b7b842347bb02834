"""A lender who forges, replays and slanders while others render: he gains nothing, harms nobody, and it is on the record."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from contracts.events import (
    ChunkCompleted,
    ChunkFailed,
    ChunkReleased,
    Event,
    Fault,
    FramesCompleted,
    FramesRendered,
    FramesStored,
    Release,
)
from services.billing.domain.charging import ON_FRAMES
from services.billing.repository.postings import read
from tests.farm.containers import in_hand
from tests.farm.farmhouse import Farm
from tests.farm.renting import accepted, settled, submitted
from tests.waiting import until

FRAMES = range(1, 11)


async def test_a_lender_who_forges_and_replays_gains_nothing_and_harms_nobody(house: Farm, scenes: Path) -> None:
    renter, lena, eve = await house.account("rita", credits=20), *[await house.account(n, "lender") for n in ("lena", "eve")]
    honest, hostile = await house.lend(lena.id, "lena", cpus=1), await house.enrol(eve.id, "eve")
    for agent in (honest, hostile):
        await house.world.announcer(agent, _secret(house, agent))
    job = await submitted(house, renter, scenes / "bench_1s", f"{FRAMES[0]}-{FRAMES[-1]}")
    await accepted(house, renter, job, seconds=240)
    await until(lambda: in_hand(house.world, job), "somebody renders", 90)
    overheard = await until(lambda: [one for one in house.world.said(FramesCompleted) if one.grant.job == job], "a frame is done")
    await house.world.say(hostile, *_lies(overheard, hostile))
    await house.world.say(honest, *_replayed(house, job, honest))
    done = await settled(house, renter, job)
    assert done.state == "completed", done.reason
    await house.world.say(honest, *_replayed(house, job, honest))
    await _everything_counts_once(house, job, hostile)
    with house.client(eve) as client:
        assert client.earnings().earned == 0
    await _it_is_on_the_record(house, hostile)


def _lies(overheard: Iterable[FramesCompleted], liar: str) -> list[Event]:
    """Others' words said as if they were one's own, others' grants made one's own, and slander about others' chunks."""
    lies: list[Event] = []
    for fact in overheard:
        mine = fact.grant.model_copy(update={"agent": liar})
        ids = {"job": mine.job, "chunk": mine.chunk, "attempt": mine.attempt}
        lies += [fact, fact.model_copy(update={"grant": mine})]
        lies += [ChunkCompleted.model_validate(ids), ChunkReleased.model_validate({**ids, "reason": Release.STOPPED})]
        lies += [ChunkFailed.model_validate({**ids, "fault": Fault.SCENE, "text": "the file is broken"})]
    return lies


def _replayed(house: Farm, job: str, agent: str) -> list[Event]:
    """What this agent has said of its frames so far."""
    said: list[FramesRendered | FramesCompleted] = [*house.world.said(FramesRendered), *house.world.said(FramesCompleted)]
    return [one for one in said if one.grant.job == job and one.grant.agent == agent]


async def _everything_counts_once(house: Farm, job: str, hostile: str) -> None:
    facts = house.world.said(FramesStored, job=job)
    assert Counter(one.frame for fact in facts for one in fact.frames) == Counter(FRAMES)
    assert hostile not in {fact.agent for fact in facts}
    postings = [read(one) async for one in house.world.database("billing")["postings"].find({"job": job})]
    assert Counter(one.frame for one in postings if one.kind in ON_FRAMES) == Counter(FRAMES)
    assert hostile not in {one.agent for one in postings}


async def _it_is_on_the_record(house: Farm, hostile: str) -> None:
    for service in ("scheduler", "storage"):
        letters = [letter.headers for letter in await house.world.dead(service)]
        assert {letter["x-verdict"] for letter in letters} == {"sender_fault"}, letters
        assert {letter["x-sender"] for letter in letters} == {hostile}, "the honest lender's replays are nobody's fault"


def _secret(house: Farm, agent: str) -> str:
    """The broker password that enrolment gave this agent."""
    return str(urlsplit(json.loads(house.credential(agent).read_text())["amqp_url"]).password)
