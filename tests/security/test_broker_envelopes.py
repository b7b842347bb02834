"""What the broker's own checks leave open, and what becomes of it: closed by the inboxes, or harmless. One test for each hole.

The positive control of a forged envelope: the broker lets it through, and a reader that trusts the queue in which it finds a
message would act on it.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiormq
import pytest
import pytest_asyncio
from pamqp.commands import Basic
from prometheus_client import REGISTRY

from contracts.bus import read
from contracts.events import ChunkFailed, Fault
from contracts.topology import AGENT, AGENTS, DEAD, ROUTES, SCHEDULER, Route, dead_letters, inbox, mailbox
from infra.local.farmfile import FarmFile
from services.chassis.delivery import KEY, REASON, REFUSED, RETRY, SENDER
from services.chassis.inbox import Inboxes
from services.chassis.verdicts import Verdict
from tests.envelopes import BROKEN, UNREADABLE, Envelope, Key
from tests.integration.test_chassis import Consuming
from tests.integration.world import World
from tests.security.attacks import INBOX
from tests.security.intruder import REFUSALS, Somebody, Stage
from tests.waiting import until

FAILED, PULSE = ChunkFailed.key(), "agent.pulse.v1"
BODY = ChunkFailed(job="j", chunk="of-the-victim", attempt="a", fault=Fault.SCENE).model_dump_json().encode()
FORGED: dict[str, dict[str, Any]] = {
    "CC with another's key": {"key": PULSE, "headers": {"CC": [f"{{victim}}.{FAILED}"]}},
    "BCC with another's key": {"key": PULSE, "headers": {"BCC": [f"{{victim}}.{FAILED}"]}},
    "CC with its own key for another event": {"key": PULSE, "headers": {"CC": [f"{{ann}}.{FAILED}"]}},
    "CC with a hundred keys": {"key": PULSE, "headers": {"CC": [f"x{at}.{FAILED}" for at in range(100)]}},
    "no user id": {"user_id": None},
    "no user id, another's in our header": {"user_id": None, "headers": {SENDER: "{victim}", KEY: FAILED}},
    "no user id, BCC": {"user_id": None, "key": PULSE, "headers": {"BCC": [f"{{victim}}.{FAILED}"]}},
}
HARMLESS: dict[str, dict[str, Any]] = {
    "our headers": {"headers": {SENDER: "{victim}", RETRY: 3, KEY: FAILED, REFUSED: "false", REASON: "x"}},
    "a death it never died": {"headers": {"x-death": [{"queue": INBOX, "reason": "rejected", "count": 99}]}},
    "a delivery count": {"headers": {"x-delivery-count": 1_000}},
    "the highest priority": {"priority": 255},
    "a reply wanted": {"reply_to": mailbox("{victim}"), "correlation_id": "x"},
    "another type": {"message_type": "agent.revoked.v1"},
    "a message id of its choice": {"message_id": "0" * 200},
    "headers of seven kilobytes": {"headers": {"traceparent": "x" * 7_000}},
    "a content encoding": {"content_encoding": "gzip", "content_type": "image/png"},
    "not persistent": {"delivery_mode": 1},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def quiet(farm: FarmFile, stage: Stage) -> AsyncIterator[World]:
    """Services' connections in the stage's virtual host."""
    world = World(farm, listens=False)
    await world.open()
    own, world.vhost = world.vhost, stage.vhost
    yield world
    world.vhost = own
    await world.close()


async def send(stage: Stage, **words: Any) -> None:
    """As ann, on farm.agents, under her own key unless the envelope says otherwise."""
    names = {"ann": stage.ann.name, "victim": stage.victim.name}
    key, user = words.pop("key", FAILED), words.pop("user_id", stage.ann.name)
    envelope = Basic.Properties(**{"delivery_mode": 2, "user_id": user, **_filled(words, names)})
    async with stage.channel(stage.ann) as channel:
        await channel.basic_publish(BODY, exchange=AGENTS, routing_key=f"{stage.ann.name}.{key}", properties=envelope)


def _filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**names)
    if isinstance(value, dict):
        return {name: _filled(one, names) for name, one in value.items()}
    return [_filled(one, names) for one in value] if isinstance(value, list) else value


async def send_broken(stage: Stage) -> None:
    """All that the broker passes on and pamqp cannot read, and then an honest word."""
    async with stage.channel(stage.ann) as channel:
        own = f"{stage.ann.name}.{FAILED}"
        for flag, words in BROKEN.values():
            await channel.basic_publish(BODY, exchange=AGENTS, routing_key=own, properties=Envelope(flag, words, stage.ann.name))
        led = Basic.Properties(user_id=stage.ann.name, headers={"CC": [own]})
        await channel.basic_publish(BODY, exchange=AGENTS, routing_key=Key(stage.ann.name), properties=led)
    await send(stage)


async def a_strict_reader_makes_of_it(stage: Stage, number: int) -> list[str]:
    """What ended it at each message."""
    script = (sys.executable, str(Path(__file__).with_name("strict_reader.py")))
    scheduler = Somebody(SCHEDULER, stage.farm.service_passwords("AMQP")[SCHEDULER])
    reader = await asyncio.create_subprocess_exec(*script, stdin=PIPE, stdout=PIPE)
    said, _ = await reader.communicate(json.dumps([stage.url(scheduler), INBOX, number]).encode())
    return [str(one) for one in json.loads(said)]


def blamed() -> float:
    """How many messages were their sender's fault, for this process."""
    labels = {"service": SCHEDULER, "event": FAILED, "verdict": Verdict.SENDER.value}
    return REGISTRY.get_sample_value("framelend_inbox_messages_total", labels) or 0.0


async def a_trusting_reader_acts(stage: Stage) -> bool:
    """Looks at what lies in the inbox, as one who trusts the queue, and leaves it there."""
    scheduler = Somebody(SCHEDULER, stage.farm.service_passwords("AMQP")[SCHEDULER])
    async with stage.channel(scheduler) as channel:
        message = await channel.basic_get(inbox(SCHEDULER, ChunkFailed))
        return bool(message.body) and read(FAILED, message.body) == ChunkFailed.model_validate_json(BODY)


async def heard(quiet: World, parked: int = 0, taken: int = 0, faults: int = 0) -> tuple[list[str], list[Any]]:
    """What the scheduler's inbox makes of it: (senders of what it acts on, what it parks)."""
    seen, dead, inboxes, before = list[str](), list[Any](), Inboxes(SCHEDULER), blamed()

    @inboxes.on_agent(ChunkFailed)
    async def on_chunk_failed(sender: str, event: ChunkFailed) -> None:
        seen.append(sender)

    async def enough() -> bool:
        dead.extend(await quiet.dead(SCHEDULER))
        return len(seen) >= taken and len(dead) >= parked and blamed() - before >= faults

    async with Consuming(quiet, inboxes):
        await until(enough, f"{taken} taken, {parked} parked: {seen} {dead}")
    return seen, dead


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_envelope_passes_the_broker_and_not_the_inbox(stage: Stage, quiet: World, name: str) -> None:
    await send(stage, **FORGED[name])
    assert await a_trusting_reader_acts(stage), "the broker has stopped it: the attempt proves nothing"
    seen, dead = await heard(quiet, parked=1)
    assert seen == []
    assert [one.headers[REFUSED] for one in dead] == ["true"], "what is refused for identity can never be replayed"
    assert [one.headers[SENDER] for one in dead] == [stage.ann.name], "and is held against who sent it, not against the victim"


async def test_envelopes_of_all_kinds_are_its_own_word_and_nobody_elses(stage: Stage, quiet: World) -> None:
    for envelope in HARMLESS.values():
        await send(stage, **envelope)
    seen, dead = await heard(quiet, taken=len(HARMLESS))
    assert seen == [stage.ann.name] * len(HARMLESS)
    assert dead == []
    assert await stage.messages(mailbox(stage.victim.name)) == 0, "nobody is answered on another's behalf"


async def test_what_cannot_be_read_ends_no_connection_and_is_its_senders_fault(stage: Stage, quiet: World) -> None:
    """Unanswered, it would come first again after each reconnect, and the honest word behind it would not be heard."""
    await send_broken(stage)
    ended = await a_strict_reader_makes_of_it(stage, len(BROKEN) + 2)
    assert [bool(one) for one in ended] == [name in UNREADABLE for name in BROKEN] + [True, False], ended
    await send_broken(stage)
    seen, dead = await heard(quiet, parked=1, taken=1, faults=len(BROKEN) + 1)
    assert seen == [stage.ann.name], "the honest word is heard, and nothing else"
    assert [(one.headers[REFUSED], one.headers[SENDER]) for one in dead] == [("true", stage.ann.name)], "one is an example"
    assert await stage.messages(INBOX) == 0


async def test_what_expires_at_once_is_simply_gone(stage: Stage) -> None:
    """With a dead letter exchange on the inbox an agent could park what it likes, past everybody who counts."""
    trap = {"durable": True, "arguments": {"x-dead-letter-exchange": DEAD, "x-dead-letter-routing-key": "billing"}}
    stage.management.put(f"/api/queues/{stage.vhost}/as-it-was", json=trap).raise_for_status()
    bound = {"routing_key": f"*.{FAILED}"}
    stage.management.post(f"/api/bindings/{stage.vhost}/e/{AGENTS}/q/as-it-was", json=bound).raise_for_status()
    for _ in range(20):
        await send(stage, expiration="0")

    async def parked() -> bool:
        return await stage.messages(dead_letters("billing")) == 20

    async def gone() -> bool:
        return await stage.messages(INBOX) == 0

    await until(parked, "the positive control: all are parked for the trap")
    await until(gone, "the inbox has let go of them: it looks for itself, not when the trap does")
    assert await stage.messages(dead_letters(SCHEDULER)) == 0
    stage.management.delete(f"/api/queues/{stage.vhost}/as-it-was").raise_for_status()


@pytest.mark.parametrize("row", [row for row in ROUTES if row.publisher == AGENT], ids=lambda row: row.event.__name__)
def test_no_inbox_of_agents_has_a_dead_letter_exchange(stage: Stage, row: Route) -> None:
    for service in row.subscribers:
        queue = stage.management.get(f"/api/queues/{stage.vhost}/{inbox(service, row.event)}").json()
        assert "x-dead-letter-exchange" not in queue["arguments"]


async def test_asking_after_anothers_queue_tells_how_full_it_is_and_nothing_more(stage: Stage) -> None:
    """A passive declaration needs no permission. It shows two counts, and neither changes the queue nor keeps anything of it."""
    async with stage.channel(stage.ann) as channel:
        for queue in (mailbox(stage.victim.name), INBOX):
            found = await channel.queue_declare(queue, passive=True)
            assert (found.queue, found.message_count, found.consumer_count) == (queue, 0, 0)
        for exchange in (AGENTS, "farm.dead"):
            await channel.exchange_declare(exchange, passive=True)
    before = stage.management.get(f"/api/definitions/{stage.vhost}").json()
    async with stage.channel(stage.ann) as channel:
        with pytest.raises(REFUSALS):
            await channel.queue_declare("no-such-queue", passive=True)
    after = stage.management.get(f"/api/definitions/{stage.vhost}").json()
    assert sorted(map(str, after["queues"])) == sorted(map(str, before["queues"]))


async def test_a_reply_channel_is_heard_by_nobody(stage: Stage, quiet: World) -> None:
    """The broker lets it listen for direct replies; our services answer nobody but by mailbox."""
    async with stage.channel(stage.ann) as channel:
        got: list[bytes] = []

        async def take(message: aiormq.abc.DeliveredMessage) -> None:
            got.append(message.body)

        await channel.basic_consume("amq.rabbitmq.reply-to", take, no_ack=True)
        envelope = Basic.Properties(user_id=stage.ann.name, reply_to="amq.rabbitmq.reply-to", correlation_id="1")
        await channel.basic_publish(BODY, exchange=AGENTS, routing_key=f"{stage.ann.name}.{FAILED}", properties=envelope)
        seen, dead = await heard(quiet, taken=1)
        assert (seen, dead, got) == ([stage.ann.name], [], [])


async def test_cancelling_anothers_consumer_cancels_nothing(stage: Stage) -> None:
    """Names of consumers are a channel's own: the broker says yes and does nothing."""
    got = asyncio.Event()

    async def take(_: aiormq.abc.DeliveredMessage) -> None:
        got.set()

    async with stage.channel(stage.victim) as victims, stage.channel(stage.ann) as anns:
        await victims.basic_consume(mailbox(stage.victim.name), take, no_ack=True, consumer_tag="the-victims")
        await anns.basic_consume(mailbox(stage.ann.name), take, no_ack=True, consumer_tag="the-victims", exclusive=True)
        await anns.basic_cancel("the-victims")
        assert (await victims.queue_declare(mailbox(stage.victim.name), passive=True)).consumer_count == 1
        scheduler = Somebody(SCHEDULER, stage.farm.service_passwords("AMQP")[SCHEDULER])
        channel = await stage.kept_channel(scheduler)
        await channel.basic_publish(b"{}", exchange="farm.mailboxes", routing_key=stage.victim.name)
        await asyncio.wait_for(got.wait(), 30)
