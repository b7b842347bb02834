"""Letting agents in, giving them new secrets, shutting them out: the broker follows the document, whatever breaks in between."""

import asyncio
import threading
from collections.abc import Sequence

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import AgentEnrolled, AgentRevoked, EnrolmentRequested, Event, RevocationRequested, SecretOffered
from contracts.topology import AGENT_LIMITS, mailbox
from services.chassis.verdicts import NotYet, SenderFault, WorldAway
from services.scheduler.domain import access
from services.scheduler.domain.agent import Agent, Decided
from services.scheduler.domain.states import ACCESS_MOVES, Access, AgentState, ChunkState, IllegalMove, check
from services.scheduler.gate import Gate
from tests.unit.scheduler.builders import a_chunk, a_hand, a_holder, an_agent, later
from tests.unit.scheduler.office import Office
from tests.waiting import until

FIRST, SECOND, THIRD = (letter * 48 for letter in "ABC")


def wants_in(agent: str = "ann", secret_hash: str = FIRST, owner: str = "owner-of-ann") -> EnrolmentRequested:
    return EnrolmentRequested(agent=agent, owner=owner, name="Ann's laptop", secret_hash=secret_hash)


def is_to_go(agent: str = "ann") -> RevocationRequested:
    return RevocationRequested(agent=agent, by="owner-of-ann", reason="sold")


def told(office: Office, *kinds: type[Event]) -> list[str]:
    return [type(one).__name__ for one in office.told if isinstance(one, kinds)]


async def test_a_machine_that_wants_in_can_log_in_before_anybody_hears_of_it() -> None:
    office = Office()

    def nothing_told(_: httpx.Request) -> None:
        assert not told(office, AgentEnrolled)

    office.management.before = nothing_told
    await office.hear(wants_in())
    assert office.management.users == {"ann": FIRST}
    assert office.management.queues == {mailbox("ann")}
    assert office.management.limits == {("ann", name) for name in AGENT_LIMITS}
    assert office.told == [AgentEnrolled(agent="ann", owner="owner-of-ann", name="Ann's laptop", house=False)]


async def test_asked_again_nothing_changes_and_nobody_is_told_again() -> None:
    office = Office()
    await office.hear(wants_in())
    calls = len(office.management.calls)
    await office.hear(wants_in())
    assert len(office.management.calls) == calls
    assert told(office, AgentEnrolled) == ["AgentEnrolled"]


async def test_another_account_cannot_take_an_id() -> None:
    office = Office()
    await office.hear(wants_in())
    with pytest.raises(SenderFault, match="another account"):
        await office.hear(wants_in(owner="eve", secret_hash=SECOND))
    assert office.management.users == {"ann": FIRST}


@pytest.mark.parametrize("calls_done", range(4))
async def test_the_brokers_management_breaking_off_anywhere_is_made_good_by_the_sweep(calls_done: int) -> None:
    office = Office()
    _breaks_after(office, calls_done)
    if calls_done < 3:
        with pytest.raises(WorldAway):
            await office.hear(wants_in())
        assert not told(office, AgentEnrolled), "nobody hears of a machine that may not be able to log in"
    office.management.before = lambda _: None
    await office.gate.sweep()
    await office.hear(wants_in())
    assert told(office, AgentEnrolled) == ["AgentEnrolled"]
    assert office.management.users == {"ann": FIRST}


def _breaks_after(office: Office, calls: int) -> None:
    left = iter(range(calls))

    def break_off(_: httpx.Request) -> None:
        if next(left, None) is None:
            raise httpx.ConnectError("gone")

    office.management.before = break_off


async def test_a_revoked_agent_is_shut_out_its_chunks_are_free_and_its_id_is_never_used_again() -> None:
    office = Office()
    await office.hear(wants_in())
    await _at_work(office)
    await office.hear(is_to_go())
    assert (office.management.users, office.management.queues) == ({}, set())
    (chunk,), (agent,) = office.all_chunks(), office.all_agents()
    assert chunk.state is ChunkState.QUEUED
    assert (agent.state, agent.access, agent.hands) == (AgentState.REVOKED, Access.CLOSED, ())
    assert told(office, AgentRevoked) == ["AgentRevoked"]
    await office.hear(wants_in())
    await office.hear(is_to_go())
    await office.gate.sweep()
    assert office.management.users == {}
    assert told(office, AgentEnrolled, AgentRevoked) == ["AgentEnrolled", "AgentRevoked"]


async def _at_work(office: Office) -> None:
    """`ann` holds one chunk."""
    hand = a_hand(heard=True)
    await office.chunks.store.add("chunk", a_chunk(state=ChunkState.RENDERING, holder=a_holder()), [])
    agent = an_agent(agent="ann", hands=(hand,), access=Access.OPEN, secret_hash=FIRST)
    await office.agents.update("ann", lambda _, __: (agent, []))


async def test_a_revocation_that_overtook_the_enrolment_waits_for_it() -> None:
    with pytest.raises(NotYet):
        await Office().hear(is_to_go())


async def test_a_revocation_cut_short_is_finished_by_the_sweep() -> None:
    office = Office()
    await office.hear(wants_in())
    await _at_work(office)
    _breaks_after(office, 1)
    with pytest.raises(WorldAway):
        await office.hear(is_to_go())
    assert told(office, AgentRevoked), "told first: services drop what it says from now on"
    assert office.all_chunks()[0].state is not ChunkState.QUEUED
    office.management.before = lambda _: None
    await office.gate.sweep()
    assert office.all_chunks()[0].state is ChunkState.QUEUED
    assert (office.management.users, office.management.queues) == ({}, set())


async def test_an_agent_that_cannot_be_settled_at_all_does_not_keep_a_revoked_one_connected() -> None:
    office = Office()
    await office.agents.store.add("ann", access.asked("ann", "An owner that no event can name", "Ann", False, FIRST))
    await office.hear(wants_in("eve"))
    _breaks_after(office, 0)
    with pytest.raises(WorldAway):
        await office.hear(is_to_go("eve"))
    assert "eve" in office.management.users
    office.management.before = lambda _: None
    with pytest.raises(ExceptionGroup, match="some of many"):
        await office.gate.sweep()
    assert "eve" not in office.management.users
    assert {one.agent: one.access for one in office.all_agents()}["eve"] is Access.CLOSED


async def test_a_broker_that_is_away_is_asked_three_times_in_a_sweep() -> None:
    office = Office()
    for id in ("ann", "bob", "eve", "mia"):
        await office.agents.store.add(id, access.asked(id, id, id, False, FIRST))
    asked = list[str]()

    def away(request: httpx.Request) -> None:
        asked.append(request.url.path)
        raise httpx.ConnectError("gone")

    office.management.before = away
    await office.gate.sweep()
    assert len(asked) == 3


async def test_a_new_secret_replaces_the_old_one_and_a_late_older_offer_changes_nothing() -> None:
    office = Office()
    await office.hear(wants_in())
    await office.hear(SecretOffered(offer="offer-1", secret_hash=SECOND), sender="ann")
    office.clock.at = later(60)
    await office.hear(SecretOffered(offer="offer-2", secret_hash=THIRD), sender="ann")
    await office.hear(SecretOffered(offer="offer-1", secret_hash=SECOND), sender="ann")
    assert office.management.users == {"ann": THIRD}
    assert told(office, AgentEnrolled) == ["AgentEnrolled"], "a new secret is no news to others"


async def test_secrets_cannot_be_changed_every_moment() -> None:
    office = Office()
    await office.hear(wants_in())
    await office.hear(SecretOffered(offer="offer-1", secret_hash=SECOND), sender="ann")
    calls = len(office.management.calls)
    for offer in ("offer-1", "offer-2"):
        with pytest.raises(SenderFault):
            await office.hear(SecretOffered(offer=offer, secret_hash=THIRD), sender="ann")
    await office.hear(SecretOffered(offer="offer-1", secret_hash=SECOND), sender="ann")
    assert len(office.management.calls) == calls, "neither another one nor the same again"
    assert office.management.users == {"ann": SECOND}


@pytest.mark.parametrize("sender", ["nobody", "gone"])
async def test_who_is_not_enrolled_or_revoked_has_no_secret_to_change(sender: str) -> None:
    office = Office()
    await office.hear(wants_in("gone"))
    await office.hear(is_to_go("gone"))
    with pytest.raises(SenderFault):
        await office.hear(SecretOffered(offer="offer-1", secret_hash=SECOND), sender=sender)
    assert office.management.users == {}


@pytest.mark.parametrize("overtaken_by", ["a new secret", "its revocation"])
async def test_a_call_to_the_broker_that_another_process_has_overtaken_is_done_again(overtaken_by: str) -> None:
    office = Office()
    other = Gate(office.agents, office.chunks, office.management.broker())
    begun, may_go_on = threading.Event(), threading.Event()

    def slow_at_first(_: httpx.Request) -> None:
        if not begun.is_set():
            begun.set()
            may_go_on.wait(30)

    office.management.before = slow_at_first
    slow = asyncio.create_task(office.hear(wants_in()))
    await until(begun.is_set, "the first call is under way")
    change = access.ended if overtaken_by == "its revocation" else _with_second
    await office.agents.update("ann", lambda agent, _: change(agent, "sold"))
    await other.settle("ann")
    may_go_on.set()
    await slow
    assert office.management.users == ({} if overtaken_by == "its revocation" else {"ann": SECOND})


def _with_second(agent: Agent, _: str) -> Decided:
    return access.renewed(agent, SECOND), []


STEPS = st.sampled_from(
    [
        (wants_in(), "intake"),
        (SecretOffered(offer="offer-1", secret_hash=SECOND), "ann"),
        (SecretOffered(offer="offer-2", secret_hash=THIRD), "ann"),
        (is_to_go(), "intake"),
    ]
)


@given(st.lists(st.tuples(STEPS, st.integers(0, 6)), max_size=8), st.booleans())
def test_in_any_order_however_often_and_wherever_it_breaks_off_the_broker_ends_as_the_document_says(
    steps: Sequence[tuple[tuple[Event, str], int]], at_once: bool
) -> None:
    asyncio.run(_any_order(steps, at_once))


async def _any_order(steps: Sequence[tuple[tuple[Event, str], int]], at_once: bool) -> None:
    office = Office()

    async def heard(event: Event, sender: str, calls: int) -> None:
        _breaks_after(office, calls)
        try:
            await office.hear(event, sender)
        except (WorldAway, NotYet, SenderFault):
            return

    if at_once:
        await asyncio.gather(*(heard(event, sender, calls) for (event, sender), calls in steps))
    else:
        for (event, sender), calls in steps:
            office.clock.at = later(60 * len(office.management.calls))
            await heard(event, sender, calls)
    office.management.before = lambda _: None
    await office.gate.sweep()
    _matches(office)


def _matches(office: Office) -> None:
    wanted = {one.agent: one.secret_hash for one in office.all_agents() if one.state is not AgentState.REVOKED}
    assert office.management.users == wanted
    assert office.management.queues == {mailbox(agent) for agent in wanted}
    assert not [one for one in office.all_agents() if one.access not in (Access.OPEN, Access.CLOSED)]
    assert len(told(office, AgentEnrolled)) <= 1


def test_closed_opens_only_as_a_release_from_quarantine_does() -> None:
    for state in set(Access) - {Access.RENEWING}:
        with pytest.raises(IllegalMove):
            check(ACCESS_MOVES, "access", Access.CLOSED, state)


def test_a_revoked_agents_access_never_opens_again() -> None:
    """Positive control: another agent's does."""
    agent = access.asked("ann", "owner-of-ann", "Ann", False, FIRST)
    let_in, _ = access.settled(agent, agent)
    assert access.is_welcome(access.renewed(let_in, SECOND))
    gone, _ = access.ended(let_in, "sold")
    closed, _ = access.settled(gone, gone)
    for state in (gone, closed):
        assert not access.is_welcome(state)
        assert access.renewed(state, SECOND) == state
        assert access.barred(state, "too loud", later(1)) == (state, [])
        with pytest.raises(IllegalMove):
            access.released(state, "please")
