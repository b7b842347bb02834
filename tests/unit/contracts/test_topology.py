"""ROUTES is the one place that says who tells what to whom; everything else follows from it."""

import inspect
import re

import pytest

import contracts.events as all_events
from contracts.events import ChunkAssigned, Event, FramesStored, JobSubmitted, UploadGranted
from contracts.topology import (
    AGENT,
    AGENTS,
    AGENTS_BOUNDS,
    BY_KEY,
    EVENTS,
    MAILBOX_ARGUMENTS,
    MAILBOXES,
    MAX_MESSAGE_BYTES,
    RETRY_STEPS_MS,
    ROUTES,
    SERVICES,
    STORAGE,
    agent_permissions,
    dead_letters,
    exchange,
    inbox,
    queues,
    retry,
    service_permissions,
)  # fmt: skip


def every_event() -> set[type[Event]]:
    found = (value for value in vars(all_events).values() if inspect.isclass(value))
    return {value for value in found if issubclass(value, Event) and value is not Event}


def test_every_event_is_routed_exactly_once() -> None:
    assert {route.event for route in ROUTES} == every_event()
    assert len(ROUTES) == len(BY_KEY) == len(every_event())


def test_every_event_has_one_publisher_that_is_not_among_its_subscribers() -> None:
    assert all(route.publisher in (*SERVICES, AGENT) and route.publisher not in route.subscribers for route in ROUTES)
    assert all(route.subscribers for route in ROUTES)


def test_keys_are_the_events_own_words() -> None:
    assert FramesStored.key() == "frames.stored.v1"
    assert inbox(STORAGE, JobSubmitted) == "storage.job.submitted.v1"
    assert {exchange(FramesStored), exchange(ChunkAssigned), exchange(BY_KEY["agent.ready.v1"].event)} == {
        EVENTS,
        MAILBOXES,
        AGENTS,
    }


def test_an_inbox_exists_only_for_subscribers() -> None:
    with pytest.raises(ValueError, match="does not subscribe"):
        inbox("notifier", JobSubmitted)


def test_queue_names_are_unique_and_every_subscription_has_one() -> None:
    names = [queue.name for queue in queues()]
    assert len(names) == len(set(names))
    wanted = {inbox(service, route.event) for route in ROUTES for service in SERVICES if service in route.subscribers}
    assert wanted <= set(names)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_publish_its_own_events_and_no_other(service: str) -> None:
    rights = service_permissions(service)
    for route in ROUTES:
        if exchange(route.event) == EVENTS:
            assert bool(re.match(rights.topics[EVENTS], route.event.key())) == (route.publisher == service)
    assert not re.match(rights.write, "amq.default")
    assert not re.match(rights.write, AGENTS)
    assert bool(re.match(rights.write, MAILBOXES)) == (service in ("scheduler", "storage"))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_its_own_queues_and_climbs_its_own_ladder(service: str) -> None:
    rights = service_permissions(service)
    for other in SERVICES:
        assert bool(re.match(rights.write, retry(other, 0))) == (other == service)
        for route in ROUTES:
            if other in route.subscribers:
                assert bool(re.match(rights.read, inbox(other, route.event))) == (other == service)
    assert not re.match(rights.read, f"dead.{service}")


def test_whatever_agents_say_is_heard_by_one_that_can_have_them_cut_off() -> None:
    """The scheduler does it, storage reports; what others hear from agents one of these two hears too."""
    said = [route for route in ROUTES if route.publisher == AGENT]
    assert [route.event.__name__ for route in said if not {"scheduler", STORAGE} & set(route.subscribers)] == []


@pytest.mark.parametrize("shards", [1, 2])
def test_whatever_an_agents_word_can_reach_is_bounded_in_messages_and_in_bytes(shards: int) -> None:
    """Its inboxes, the ladders it climbs when something is missing, and the place where what is wrong is parked."""
    named = {queue.name: queue.arguments for queue in queues(shards)}
    rows = [(service, row) for row in ROUTES if row.publisher == AGENT for service in row.subscribers]
    heard = {inbox(service, row.event, shard) for service, row in rows for shard in range(shards)}
    parked = {dead_letters(service) for service, _ in rows}
    climbed = {retry(service, step) for service, _ in rows for step in range(len(RETRY_STEPS_MS))}
    for name in heard | parked | climbed:
        assert 0 < named[name]["x-max-length"] <= AGENTS_BOUNDS["x-max-length"], name
        assert MAX_MESSAGE_BYTES <= named[name]["x-max-length-bytes"] <= AGENTS_BOUNDS["x-max-length-bytes"], name
    assert set(MAILBOX_ARGUMENTS) >= {"x-max-length", "x-max-length-bytes"}
    free = [name for name, told in named.items() if "x-max-length-bytes" not in told]
    assert free, "positive control: what only services say waits without bounds, and is never dropped"
    assert not {name.split(".v1")[0] for name in free} & {name.split(".v1")[0] for name in heard}
    ladders = {retry(service, step) for service in SERVICES for step in range(len(RETRY_STEPS_MS))}
    assert ladders - {*free} == climbed, "nor do the ladders that no agent's word climbs have bounds"
    assert {retry("billing", 0), retry("notifier", 0)} <= {*free}


def test_an_agents_name_is_no_pattern_for_anothers() -> None:
    rights = agent_permissions("ax1")
    assert re.match(rights.read, "agent.ax1")
    assert not any(re.match(rights.read, name) for name in ("agent.ax10", "agent.bax1", "agent.ax1.x", "agentxax1"))


def test_the_ladder_repeats_its_last_step() -> None:
    assert retry(STORAGE, 99) == retry(STORAGE, 4) != retry(STORAGE, 3)


def test_what_goes_to_a_mailbox_names_its_agent() -> None:
    granted = UploadGranted(agent="ann", job="j", attempt="t", uploads=(), seconds_valid=1)
    assert granted.addressee == "ann"
    assert all("agent" in r.event.model_fields or "grant" in r.event.model_fields for r in ROUTES if AGENT in r.subscribers)


def test_every_event_has_its_sentence() -> None:
    assert [event.__name__ for event in every_event() if "__doc__" not in vars(event) or not event.__doc__] == []
