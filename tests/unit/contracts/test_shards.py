"""Agents are spread over the scheduler's shards by their ids alone."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import AgentReady, ChunkCompleted, ChunkFailed, Event, FramesCompleted, FramesStored
from contracts.shards import UNDIVIDED, Shard, shard_named, shard_of
from contracts.topology import (
    AGENTS,
    EVENTS,
    SCHEDULER,
    SERVICES,
    STORAGE,
    agent_permissions,
    inbox,
    queues,
    service_permissions,
    shard_exchange,
)

AGENTS_MANY = [f"agent-{number}" for number in range(4_000)]


@given(st.text(min_size=1), st.integers(1, 50))
def test_exactly_one_shard_hears_an_agent(agent: str, of: int) -> None:
    assert [number for number in range(of) if Shard(number, of).hears(agent)] == [shard_of(agent, of)]


@given(st.text(min_size=1), st.integers(1, 50))
def test_who_moves_when_a_shard_is_added_moves_to_the_new_one(agent: str, of: int) -> None:
    assert shard_of(agent, of + 1) in (shard_of(agent, of), of)


@pytest.mark.parametrize("of", [2, 3, 7])
def test_shards_have_about_as_many_agents_each(of: int) -> None:
    each = Counter(shard_of(agent, of) for agent in AGENTS_MANY)
    assert all(0.85 < number * of / len(AGENTS_MANY) < 1.15 for number in each.values())
    assert len(each) == of


def test_an_agents_shard_is_the_same_tomorrow() -> None:
    """Bindings are kept by the broker: another function would lead agents to shards that do not look after them."""
    assert [shard_of(f"agent-{number}", 5) for number in range(8)] == KNOWN


KNOWN = [3, 2, 0, 2, 3, 2, 2, 0]


@pytest.mark.parametrize("text", ["", "0/1", "2/1", "1", "1/0", "-1/2", "a/b", "1/2/3", "01/2"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no shard"):
        shard_named(text)


def test_shards_are_named_from_one() -> None:
    assert shard_named("1/1") == UNDIVIDED
    assert shard_named("2/3") == Shard(1, 3)


def test_only_what_agents_say_often_to_the_scheduler_is_spread() -> None:
    assert inbox(SCHEDULER, ChunkCompleted, 1) == "scheduler.chunk.completed.v1.1"
    assert inbox(SCHEDULER, AgentReady, 0) == "scheduler.agent.ready.v1"
    unspread: list[tuple[str, type[Event]]] = [
        (SCHEDULER, ChunkFailed),
        (SCHEDULER, FramesStored),
        (STORAGE, FramesCompleted),
    ]
    assert [inbox(service, event, 1) for service, event in unspread] == [inbox(service, event) for service, event in unspread]


def test_with_one_shard_everything_is_as_without() -> None:
    sources = {source for queue in queues() for source, _ in queue.bindings}
    assert {AGENTS, EVENTS} < sources
    assert not any(source.startswith("farm.shard") for source in sources)


def test_every_inbox_of_a_shard_has_one_consumer_at_a_time_and_hears_only_its_shard() -> None:
    spread = [queue for queue in queues(2) if queue.name.endswith(".completed.v1.1") or queue.name.endswith("agent.ready.v1.1")]
    assert len(spread) == 3
    assert all(queue.arguments["x-single-active-consumer"] for queue in spread)
    assert all([source for source, _ in queue.bindings] == [shard_exchange(1)] for queue in spread)


def test_nobody_but_the_broker_publishes_to_a_shard() -> None:
    """An agent that could would choose its shard, or speak to both."""
    assert not re.match(agent_permissions("ax1").write, shard_exchange(0))
    assert not any(re.match(service_permissions(service).write, shard_exchange(0)) for service in SERVICES)
