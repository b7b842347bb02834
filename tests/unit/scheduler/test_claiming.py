"""Rounds of giving out overlap: while the chunks of one are written the next decides, and takes nothing that is the other's."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from services.chassis.pending import Told
from services.chassis.repository import Change, New, Saved
from services.scheduler.claiming import REMEMBERED, Claiming
from services.scheduler.closing import Closing
from services.scheduler.dispatch import Dispatch
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import JobState
from services.scheduler.placing import Asking
from tests.unit.clock import Clock
from tests.unit.scheduler.builders import IMAGE, POLICY, a_chunk, a_sampled_job, an_agent
from tests.unit.scheduler.memory import MemoryAgents, MemoryChunks, MemoryJobs, Store

TURNS = 50
"""Of the event loop: enough for everybody to come as far as they can."""


async def unheard(*_: object) -> None:
    """What is told is not looked at here."""


class Slow(Store[Chunk]):
    """No claim is written before the test says so."""

    def __init__(self) -> None:
        super().__init__(Clock(), unheard, lambda: False)
        self.may_write = asyncio.Event()

    async def insert(self, new: Sequence[New[Chunk]]) -> tuple[list[bool], list[Told]]:
        if any(one.events for one in new):
            await self.may_write.wait()
        return await super().insert(new)

    async def write(self, changes: Sequence[Change[Chunk]]) -> tuple[list[bool], list[Told]]:
        if any(one.events for one in changes):
            await self.may_write.wait()
        return await super().write(changes)


class Away(Store[Agent]):
    """Cannot be asked once more."""

    asked = 0

    async def read_many(self, ids: Iterable[str]) -> dict[str, Saved[Agent]]:
        self.asked += 1
        raise ConnectionError("nobody there")


class Careless(Claiming):
    """The guards off: what is being written is nobody's concern."""

    def busy(self) -> set[str]:
        return set()

    async def settled(self) -> None:
        """At once."""


class Floor:
    """Two idle agents and a job."""

    def __init__(self, job: Job, agents: type[Store[Agent]] = Store[Agent]) -> None:
        clock = Clock()
        self.jobs = Store[Job](clock, unheard, lambda: False)
        self.agents = agents(clock, unheard, lambda: False)
        self.chunks = Slow()
        self.jobs.states["job"] = (1, job)
        for name in ("ann", "bob"):
            self.agents.states[name] = (1, an_agent(name))
        chunks, fleet = MemoryChunks(cast(Any, self.chunks)), MemoryAgents(cast(Any, self.agents))
        self.shelves = MemoryJobs(cast(Any, self.jobs)), chunks
        self.dispatch = Dispatch(*self.shelves, fleet, POLICY, IMAGE)
        self.careless = Careless(chunks, fleet)

    def asks(self, agent: str) -> "asyncio.Task[list[bool]]":
        asking = Asking(self.agents.saved(agent), lambda state, _: (state, []))
        return asyncio.create_task(self.dispatch.take([asking]))

    async def go_on(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def end(self, *tasks: "asyncio.Task[Any]") -> None:
        self.chunks.may_write.set()
        await asyncio.gather(*tasks)

    def in_hand(self) -> dict[str, list[str]]:
        return {name: [hand.chunk for hand in agent.hands] for name, (_, agent) in self.agents.states.items()}

    def holders(self) -> dict[str, str]:
        return {id: chunk.holder.agent if chunk.holder else "" for id, (_, chunk) in self.chunks.states.items()}


def a_long_job() -> Job:
    return a_sampled_job(400, state=JobState.RENDERING)


async def test_while_the_chunks_of_one_round_are_written_the_next_has_its_turn() -> None:
    floor = Floor(a_long_job())
    both = [floor.asks("ann"), floor.asks("bob")]
    await floor.go_on()
    assert [len(chunks) for chunks in floor.in_hand().values()] == [1, 1]
    assert floor.holders() == {}
    await floor.end(*both)
    assert floor.holders() == {chunks[0]: agent for agent, chunks in floor.in_hand().items()}


@pytest.mark.parametrize("is_careful", [True, False])
async def test_a_queued_chunk_that_is_being_claimed_is_offered_to_nobody_else(is_careful: bool) -> None:
    """Careless, the second is given a slot for it and loses the race."""
    floor = Floor(a_sampled_job(4, state=JobState.RENDERING, uncut=()))
    floor.chunks.states["chunk"] = (1, a_chunk())
    if not is_careful:
        floor.dispatch._claiming = floor.careless
    first = floor.asks("ann")
    await floor.go_on()
    floor.dispatch.stale()
    second = floor.asks("bob")
    await floor.go_on()
    assert floor.in_hand() == {"ann": ["chunk"], "bob": [] if is_careful else ["chunk"]}
    await floor.end(first, second)
    assert floor.in_hand() == {"ann": ["chunk"], "bob": []}
    assert floor.holders() == {"chunk": "ann"}


async def test_who_is_beaten_to_his_slot_by_his_own_pulse_asks_once_more() -> None:
    """Otherwise he would be idle until the sweep."""
    floor = Floor(a_long_job())
    before_the_pulse = replace(floor.agents.saved("ann"), version=0)
    await floor.end(asyncio.create_task(floor.dispatch.take([Asking(before_the_pulse, lambda state, _: (state, []))])))
    (chunk,) = floor.in_hand()["ann"]
    assert floor.holders()[chunk] == "ann"


async def test_what_was_saved_before_asking_once_more_failed_stays_saved() -> None:
    """What he said on the way, and the marks of others, are not to be done again for it."""
    floor = Floor(a_long_job(), Away)
    floor.chunks.states["chunk"] = (1, a_chunk(stored=1))
    mark = Change(floor.chunks.saved("chunk"), a_chunk(stored=2), (), {})
    before_the_pulse = replace(floor.agents.saved("ann"), version=0)
    assert await floor.dispatch.take([Asking(before_the_pulse, lambda state, _: (state, []))], [mark]) == [True]
    assert cast(Away, floor.agents).asked == 1
    assert floor.chunks.states["chunk"] == (2, a_chunk(stored=2))


async def test_who_is_beaten_to_his_chunk_gets_another() -> None:
    floor = Floor(a_long_job())
    floor.chunks.states["chunk"] = (1, a_chunk())
    floor.dispatch._claiming = floor.careless
    first = floor.asks("ann")
    await floor.go_on()
    floor.dispatch.stale()
    second = floor.asks("bob")
    await floor.go_on()
    assert floor.in_hand() == {"ann": ["chunk"], "bob": ["chunk"]}
    await floor.end(first, second)
    (other,) = floor.in_hand()["bob"]
    assert other != "chunk"
    assert floor.holders() == {"chunk": "ann", other: "bob"}


@pytest.mark.parametrize("is_careful", [True, False])
async def test_what_is_about_to_be_inserted_is_not_taken_for_lost(is_careful: bool) -> None:
    """Careless, it is inserted as nobody's, and its agent has to ask for it once more."""
    floor = Floor(a_long_job())
    if not is_careful:
        floor.dispatch._claiming = floor.careless
    asking = floor.asks("ann")
    await floor.go_on()
    mending = asyncio.create_task(floor.dispatch.realise("job"))
    await floor.go_on()
    await floor.end(mending, asking)
    assert list(floor.holders().values()) == ["ann"]
    assert [version for version, _ in floor.chunks.states.values()] == [1 if is_careful else 2]


@pytest.mark.parametrize("is_careful", [True, False])
async def test_who_waits_for_rounds_to_be_settled_finds_their_chunks_in_the_database(is_careful: bool) -> None:
    """Careless, an emergency stop would look for chunks at work before the last of them is written."""
    floor = Floor(a_long_job())
    if not is_careful:
        floor.dispatch._claiming = floor.careless
    asking = floor.asks("ann")
    await floor.go_on()
    settled = asyncio.create_task(floor.dispatch.settled())
    await floor.go_on()
    assert settled.done() is not is_careful
    await floor.end(asking, settled)
    assert list(floor.holders().values()) == ["ann"]


@pytest.mark.parametrize("is_careful", [True, False])
async def test_a_job_that_is_paused_while_a_chunk_is_being_claimed_gets_it_back(is_careful: bool) -> None:
    """Careless, its agent would work on until the sweep."""
    floor = Floor(a_long_job())
    if not is_careful:
        floor.dispatch._claiming = floor.careless
    asking = floor.asks("ann")
    await floor.go_on()
    paused = replace(floor.jobs.states["job"][1], state=JobState.PAUSED)
    floor.jobs.states["job"] = (9, paused)
    settling = asyncio.create_task(Closing(*floor.shelves, floor.dispatch).settle(paused))
    await floor.go_on()
    await floor.end(asking, settling)
    assert list(floor.holders().values()) == ["" if is_careful else "ann"]


async def test_a_job_read_before_its_last_cut_lacks_nothing() -> None:
    """What the cut has made the job forget was inserted all the same; a minute later nobody remembers that."""
    floor = Floor(a_long_job())
    first = floor.asks("ann")
    await floor.end(first)
    _, as_it_was = floor.jobs.states["job"]
    await floor.asks("bob")
    assert as_it_was.cuts[0] not in floor.jobs.states["job"][1].cuts
    assert floor.dispatch.has_inserted(as_it_was)
    for _ in range(REMEMBERED):
        floor.dispatch.stale()
        await floor.dispatch.look()
    assert not floor.dispatch.has_inserted(as_it_was)
