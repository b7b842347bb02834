"""Who burdens the broker is seen there, also when nothing of it ever reaches an inbox."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from contracts.events import EnrolmentRequested
from services.scheduler.domain.states import AgentState
from services.scheduler.domain.traffic import AT_ONCE, HABIT, MOST, SPAN, Counted, Volume, Watch, looked, too_loud
from services.scheduler.traffic import LOOK_SECONDS, MOST_UNANSWERED
from tests.unit.scheduler.builders import NOW
from tests.unit.scheduler.office import Office

SECONDS = LOOK_SECONDS
LOUD, QUIET = Volume(bytes=MOST.bytes * 1.1), Volume(bytes=MOST.bytes * 0.9, packets=MOST.packets * 0.9)
ENOUGH = SPAN + HABIT


def brought(rate: Volume, look: int) -> Volume:
    return Volume(rate.bytes * SECONDS * look, rate.packets * SECONDS * look)


def watched(*looks: list[Counted]) -> Watch:
    watch = Watch()
    for at, counted in enumerate(looks):
        watch = looked(watch, counted, NOW + timedelta(seconds=SECONDS * at))
    return watch


def steady(*lines: tuple[str, Volume], looks: int = ENOUGH, start: int = 1) -> Iterator[list[Counted]]:
    for look in range(start, start + looks):
        yield [Counted(f"{user}-{at}", user, brought(rate, look)) for at, (user, rate) in enumerate(lines)]


def convicted_of(looks: list[list[Counted]]) -> set[str]:
    """At any of them."""
    return {user for upto in range(1, len(looks) + 1) for user in too_loud(watched(*looks[:upto]))}


@pytest.mark.parametrize("loud", [LOUD, Volume(packets=MOST.packets * 1.1)])
def test_who_is_too_loud_again_and_again_is_seen_and_who_is_just_below_is_not(loud: Volume) -> None:
    assert list(too_loud(watched(*steady(("ann", loud), ("bob", QUIET))))) == ["ann"]
    assert too_loud(watched(*steady(("ann", loud), looks=ENOUGH - 1))) == {}, "one rate may be a burst"


def test_a_users_connections_count_together() -> None:
    half = Volume(bytes=MOST.bytes * 0.6)
    assert list(too_loud(watched(*steady(("ann", half), ("ann", half), ("bob", half))))) == ["ann"]


def test_connections_opened_anew_all_the_time_count_together() -> None:
    one = brought(LOUD, 1)
    assert list(too_loud(watched(*([Counted(f"c{look}", "ann", one)] for look in range(ENOUGH + 1))))) == ["ann"]


def test_counts_of_the_broker_that_stand_still_and_jump_hide_nobody() -> None:
    """It counts every five seconds, and we look twice as often."""
    jumps = [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10]
    assert list(too_loud(watched(*([Counted("c", "ann", brought(LOUD, at))] for at in jumps)))) == ["ann"]


def test_what_came_in_before_the_first_look_is_nobodys_habit() -> None:
    long_open = [Counted("c", "ann", Volume(bytes=1e12))]
    assert watched(*[long_open] * 9).loud == {}


@pytest.mark.parametrize(("pieces", "convicted"), [(1, False), (2, False), (HABIT - SPAN, False), (HABIT - SPAN + 1, True)])
def test_a_burst_is_no_habit_also_where_it_falls_into_several_looks(pieces: int, convicted: bool) -> None:
    """Not at any look after it. The control: one that goes on a look longer is."""
    quiet, burst = [Counted("c", "ann", Volume())], MOST.bytes * SECONDS * (SPAN + 1)
    loud = [[Counted("c", "ann", Volume(bytes=burst * at))] for at in range(1, pieces + 1)]
    assert (convicted_of([*[quiet] * SPAN, *loud, *[loud[-1]] * HABIT]) == {"ann"}) is convicted


@pytest.mark.parametrize(("more", "convicted"), [(0, False), (1, True)])
def test_what_is_more_than_any_burst_is_seen_at_the_first_look(more: int, convicted: bool) -> None:
    """Its two connections together, opened since or not; what was there before we looked is not counted."""
    before = [Counted("old", "ann", Volume(bytes=1e12))]
    after = [Counted("old", "ann", Volume(bytes=1e12 + AT_ONCE / 2 + more)), Counted("new", "ann", Volume(bytes=AT_ONCE / 2))]
    assert convicted_of([before]) == set()
    assert (convicted_of([before, after]) == {"ann"}) is convicted
    assert too_loud(watched(before, after, after, after)) == {}, "once"


def a_connection(name: str, user: str, rate: Volume, look: int) -> dict[str, Any]:
    so_far = brought(rate, look)
    return {"name": name, "user": user, "recv_oct": int(so_far.bytes), "recv_cnt": int(so_far.packets)}


async def test_an_agent_that_burdens_the_broker_is_quarantined_and_a_service_is_not() -> None:
    office = Office()
    for agent in ("ann", "bob"):
        await office.hear(EnrolmentRequested(agent=agent, owner="o", name=agent, secret_hash="A" * 48))
    lines = [("a", "ann", LOUD), ("s", "scheduler", LOUD), ("b", "bob", QUIET)]
    for look in count(1):
        office.management.connections = [a_connection(*line, look) for line in lines]
        office.management.connections += [{"user": "carl"}, {"name": "d", "user": "ann", "recv_oct": []}]
        await office.traffic.sweep()
        known = await office.agents.read_many(["ann", "bob"])
        if look < ENOUGH:
            assert {one.state.state for one in known.values()} == {AgentState.ENROLLED}
        else:
            break
        office.clock.at += timedelta(seconds=SECONDS)
    assert (known["ann"].state.state, known["bob"].state.state) == (AgentState.QUARANTINED, AgentState.ENROLLED)
    assert "too much traffic" in known["ann"].state.reason
    assert set(office.management.users) == {"bob"}


async def test_an_agent_that_takes_its_mail_and_answers_none_is_quarantined() -> None:
    office = Office()
    for agent in ("ann", "bob"):
        await office.hear(EnrolmentRequested(agent=agent, owner="o", name=agent, secret_hash="A" * 48))
    held = {"agent.ann": MOST_UNANSWERED + 1, "agent.bob": MOST_UNANSWERED, "agent.carl": 10**6, "scheduler.in": 10**6}
    office.management.mailboxes = [{"name": name, "messages_unacknowledged": number} for name, number in held.items()]
    office.management.mailboxes += [{"name": "agent.new"}]
    await office.traffic.mailboxes()
    known = await office.agents.read_many(["ann", "bob"])
    assert (known["ann"].state.state, known["bob"].state.state) == (AgentState.QUARANTINED, AgentState.ENROLLED)
    assert "answers none" in known["ann"].state.reason
