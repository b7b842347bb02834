"""Who misbehaves is out until the operator releases it: its leases void, others untouched, whatever breaks in between."""

import httpx
import pytest

from contracts.events import AgentChanged, AgentMisbehaved, AgentRevoked, EnrolmentRequested, RevocationRequested
from services.chassis.conduct import Offence
from services.chassis.verdicts import SenderFault, WorldAway
from services.scheduler.domain import access
from services.scheduler.domain.states import Access, AgentState, ChunkState, IllegalMove
from tests.unit.scheduler.builders import a_chunk, a_hand, a_holder, an_agent
from tests.unit.scheduler.office import Office

HASH = "A" * 48


def loud(agent: str = "ann") -> AgentMisbehaved:
    return AgentMisbehaved(agent=agent, what=Offence.EVENTS, count=501)


async def an_office_with_ann() -> Office:
    office = Office()
    await office.hear(EnrolmentRequested(agent="ann", owner="owner-of-ann", name="Ann's laptop", secret_hash=HASH))
    return office


async def state_of(office: Office, agent: str = "ann") -> tuple[AgentState, Access]:
    known = await office.agents.get(agent)
    assert known is not None
    return known.state, known.access


async def test_a_flooder_is_cut_off_and_everybody_hears_why_and_when() -> None:
    office = await an_office_with_ann()
    await office.hear(loud())
    assert await state_of(office) == (AgentState.QUARANTINED, Access.CLOSED)
    assert office.management.users == {}
    assert office.management.queues == set()
    (changed,) = [one for one in office.told if isinstance(one, AgentChanged)]
    assert changed.state == "quarantined"
    assert "too many events (501), cut off at 2" in changed.reason


async def test_its_leases_are_void_and_its_frames_are_given_out_again() -> None:
    office = await an_office_with_ann()
    chunk = a_chunk(state=ChunkState.ASSIGNED, holder=a_holder(agent="ann"))
    await office.chunks.store.add(chunk.chunk, chunk, [])
    await office.agents.update("ann", lambda agent, _: (an_agent("ann", hands=(a_hand(),), secret_hash=HASH), []))
    await office.hear(loud())
    found = await office.chunks.get(chunk.chunk)
    assert found is not None
    assert found.state is ChunkState.QUEUED
    assert await state_of(office) == (AgentState.QUARANTINED, Access.CLOSED)


async def test_told_again_nothing_happens_again() -> None:
    office = await an_office_with_ann()
    await office.hear(loud())
    told = len(office.told)
    await office.hear(loud())
    assert len(office.told) == told


async def test_the_broker_away_is_made_good_by_the_sweep() -> None:
    office = await an_office_with_ann()

    def away(_: httpx.Request) -> None:
        raise httpx.ConnectError("away")

    office.management.before = away
    with pytest.raises(WorldAway):
        await office.hear(loud())
    assert await state_of(office) == (AgentState.QUARANTINED, Access.CLOSING)
    office.management.before = lambda _: None
    await office.gate.sweep()
    assert office.management.users == {}
    assert await state_of(office) == (AgentState.QUARANTINED, Access.CLOSED)


async def test_released_it_comes_back_with_the_secret_it_had() -> None:
    office = await an_office_with_ann()
    await office.hear(loud())
    await office.agents.update("ann", lambda agent, _: access.released(agent, "a bug, mended"))
    await office.gate.settle("ann")
    assert office.management.users == {"ann": HASH}
    assert await state_of(office) == (AgentState.OFFLINE, Access.OPEN)


async def test_what_another_process_did_is_seen_by_looking() -> None:
    office = await an_office_with_ann()
    await office.agents.update("ann", lambda agent, now: access.barred(agent, "elsewhere", now))
    await office.quarantine.sweep()
    assert office.doorkeeper.is_shut("ann")
    await office.agents.update("ann", lambda agent, _: access.released(agent, "elsewhere"))
    await office.quarantine.sweep()
    assert not office.doorkeeper.is_shut("ann")


async def test_a_house_agent_stays_and_an_unknown_one_is_somebodys_fault() -> None:
    office = Office()
    state, events = access.asked("inn", "operator", "the house", True, HASH), list[AgentChanged]()
    await office.agents.add(state, events)
    await office.hear(loud("inn"))
    assert (await state_of(office, "inn"))[0] is AgentState.ENROLLED
    with pytest.raises(SenderFault, match="not enrolled"):
        await office.hear(loud("nobody"))


async def test_revoked_from_quarantine_it_never_comes_back() -> None:
    office = await an_office_with_ann()
    await office.hear(loud())
    await office.hear(RevocationRequested(agent="ann", by="operator", reason="enough"))
    assert [type(one) for one in office.told if isinstance(one, AgentRevoked)] == [AgentRevoked]
    with pytest.raises(IllegalMove, match="not quarantined"):
        await office.agents.update("ann", lambda agent, _: access.released(agent, "please"))
    await office.hear(loud())
    assert (await state_of(office))[0] is AgentState.REVOKED
