"""The operator's order to the whole farm: what it stops, what it spares, and that nothing makes it forgotten."""

import asyncio
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from contracts.events import AttemptCancelled, ChunkAssigned, FarmChanged, FarmControlled, FarmOrder
from contracts.values import Kind
from services.scheduler.domain import farm as domain
from services.scheduler.domain.chunk import Ending
from services.scheduler.domain.farm import Farm as TheFarm
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import AgentState, ChunkState, JobState
from tests.unit.scheduler.builders import NOW, a_chunk, a_hand, a_holder, an_agent
from tests.unit.scheduler.farm import SHORT, Farm
from tests.unit.scheduler.office import Office


def an_order(order: FarmOrder, revision: int) -> FarmControlled:
    return FarmControlled(order=order, revision=revision, by="operator", at=NOW)


async def a_busy_farm(policy: Policy = SHORT) -> Farm:
    """Chunks are in hand and none is finished."""
    farm = Farm(Office(policy=policy), 30)
    await farm.open()
    await farm.run_down({JobState.RENDERING, JobState.PACKAGING})
    assert held(farm), "somebody renders"
    return farm


def held(farm: Farm) -> list[str]:
    return [one.holder.attempt for one in farm.office.all_chunks() if one.holder is not None]


def assigned(office: Office) -> int:
    return len([one for one in office.told if isinstance(one, ChunkAssigned)])


async def test_a_stopped_farm_has_nothing_in_hand_and_its_machines_are_told() -> None:
    farm = await a_busy_farm()
    before = held(farm)
    await farm.office.hear(an_order(FarmOrder.STOP, 1))
    assert not held(farm)
    told = [one for one in farm.office.told if isinstance(one, FarmChanged)]
    assert {one.agent for one in told} == {"house", "ann", "bob"}
    assert {(one.order, one.revision) for one in told} == {(FarmOrder.STOP, 1)}
    assert {one.attempt for one in farm.office.told if isinstance(one, AttemptCancelled)} >= set(before)
    ended = {past.why for chunk in farm.office.all_chunks() for past in chunk.former if past.attempt in before}
    assert ended == {Ending.NOT_NEEDED}, "nobody is to blame"


async def test_a_stopped_farm_gives_nothing_out_until_it_is_resumed_and_then_every_frame_comes() -> None:
    farm = await a_busy_farm()
    await farm.office.hear(an_order(FarmOrder.STOP, 1))
    await farm.listen()
    given = assigned(farm.office)
    await farm.settle()
    assert assigned(farm.office) == given
    assert not any(one.left for one in farm.machines)
    assert not any(agent.interruptions for agent in farm.office.all_agents()), "nobody is kept off the job for it"
    await farm.office.hear(an_order(FarmOrder.RESUME, 2))
    await farm.listen()
    await farm.run_down()
    assert farm.office.job().state is JobState.PACKAGING
    assert sorted(farm.stored) == list(range(1, 31))
    assert not any(chunk.tries for chunk in farm.office.all_chunks())


async def test_without_the_order_the_same_farm_goes_on() -> None:
    farm = await a_busy_farm()
    given = assigned(farm.office)
    await farm.settle()
    assert assigned(farm.office) > given


async def test_a_paused_farm_finishes_what_is_in_hand_and_gives_nothing_more() -> None:
    farm = await a_busy_farm()
    before, given = set(held(farm)), assigned(farm.office)
    await farm.office.hear(an_order(FarmOrder.PAUSE, 1))
    assert set(held(farm)) == before
    await farm.settle()
    assert assigned(farm.office) == given
    assert not held(farm)
    ended = {past.why for chunk in farm.office.all_chunks() for past in chunk.former if past.attempt in before}
    assert ended == {Ending.FINISHED}


async def test_a_machine_that_comes_while_the_farm_is_stopped_is_told_and_gets_nothing() -> None:
    farm = await a_busy_farm()
    await farm.office.hear(an_order(FarmOrder.STOP, 1))
    await farm.settle()
    given, told = assigned(farm.office), len(farm.office.told)
    farm.crash(farm.machines[1])
    await farm.settle()
    assert assigned(farm.office) == given
    assert FarmChanged(agent="ann", order=FarmOrder.STOP, revision=1) in farm.office.told[told:]


async def test_the_order_outlives_the_process_that_took_it() -> None:
    farm = await a_busy_farm()
    await farm.office.hear(an_order(FarmOrder.STOP, 1))
    farm.office.begin(SHORT)
    await farm.office.halting.sweep()  # as a service does before it hears anything
    given = assigned(farm.office)
    await farm.settle()
    assert assigned(farm.office) == given
    assert farm.office.halting.notes() == [domain.WORDS[FarmOrder.STOP]]


async def test_what_another_process_gave_out_meanwhile_is_taken_back_by_the_sweep() -> None:
    office = Office()
    await office.hear(an_order(FarmOrder.STOP, 1))
    await office.agents.add(an_agent(hands=(a_hand(),)), ())
    await office.chunks.store.add("chunk", a_chunk(state=ChunkState.ASSIGNED, holder=a_holder()))
    await office.chunks.store.add(
        "done", a_chunk(chunk="done", state=ChunkState.RENDERING, holder=a_holder("second", done_at=NOW))
    )
    await office.halting.sweep()
    states = {chunk.chunk: chunk.state for chunk in office.all_chunks()}
    assert states == {"chunk": ChunkState.QUEUED, "done": ChunkState.RENDERING}, "nothing of the second runs any more"


async def test_a_full_mailbox_keeps_nobody_else_from_being_stopped() -> None:
    office = Office()
    for name in ("ann", "bob"):
        await office.agents.add(an_agent(name), ())
    await office.agents.add(an_agent("cat", state=AgentState.OFFLINE), ())
    await office.agents.add(an_agent("dan", state=AgentState.REVOKED), ())
    office.full_mailboxes.add("ann")
    await office.hear(an_order(FarmOrder.STOP, 1))
    assert {one.agent for one in office.told if isinstance(one, FarmChanged)} == {"bob", "cat"}


async def test_an_inspection_is_stopped_too() -> None:
    office = Office()
    await office.chunks.store.add(
        "look", a_chunk(chunk="look", kind=Kind.INSPECT, frames=(), state=ChunkState.ASSIGNED, holder=a_holder())
    )
    await office.hear(an_order(FarmOrder.STOP, 1))
    assert [chunk.state for chunk in office.all_chunks()] == [ChunkState.QUEUED]


@given(st.lists(st.tuples(st.sampled_from(FarmOrder), st.integers(1, 9)), min_size=1), st.randoms())
def test_in_any_order_and_repeated_the_newest_order_stands(said: list[tuple[FarmOrder, int]], chance: object) -> None:
    by_revision = {revision: order for order, revision in said}
    events = [an_order(order, revision) for revision, order in by_revision.items()] * 2
    chance.shuffle(events)  # type: ignore[attr-defined]
    farm = TheFarm()
    for event in events:
        farm, _ = domain.controlled(farm, event)
    newest = max(by_revision)
    assert (farm.order, farm.revision) == (by_revision[newest], newest)


def test_an_order_that_comes_late_is_not_carried_out() -> None:
    async def lived() -> Office:
        office = Office()
        await office.agents.add(replace(an_agent(), hands=()), ())
        await office.hear(an_order(FarmOrder.RESUME, 2))
        await office.hear(an_order(FarmOrder.STOP, 1))
        return office

    office = asyncio.run(lived())
    assert [one.order for one in office.told if isinstance(one, FarmChanged)] == [FarmOrder.RESUME]
    assert not office.desk.dispatch.is_halted
