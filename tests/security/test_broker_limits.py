"""How much of the broker one agent can take, and which other doors its credential opens: none."""

import asyncio
import socket
import struct
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiormq
import httpx
import pytest
from pamqp.commands import Basic

from contracts.events import AttemptVoid
from contracts.topology import AGENT_LIMITS, AGENTS, MAILBOX_LENGTH, MAX_MESSAGE_BYTES, mailbox
from services.scheduler.broker import Broker
from services.scheduler.traffic import MOST_UNANSWERED
from tests.security.attacks import KEY
from tests.security.intruder import REFUSALS, Somebody, Stage
from tests.waiting import until

CONNECTIONS, CHANNELS = AGENT_LIMITS["max-connections"], AGENT_LIMITS["max-channels"]
SPOKEN = {"amqp", "clustering", "http", "http/prometheus", "amqp/ssl"}
"""By the farm's node: AMQP 0-9-1, Erlang's own, management and metrics on loopback."""
QUESTIONS = ("whoami", "overview", "users", "connections", "queues", "definitions", "nodes", "vhosts", "permissions")
FOREIGN = {
    "AMQP 1.0": b"AMQP\x00\x01\x00\x00",
    "AMQP 1.0 with SASL": b"AMQP\x03\x01\x00\x00",
    "MQTT": b"\x10\x0c\x00\x04MQTT\x04\x02\x00<\x00\x00",
    "STOMP": b"CONNECT\naccept-version:1.2\n\n\x00",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
}


async def opened(stage: Stage, who: Somebody, connections: int, channels: int) -> tuple[int, int]:
    """How many connections, and channels on the first of them, the broker grants."""
    granted: list[aiormq.Connection] = []
    held = 0
    try:
        for _ in range(connections):
            granted.append(await aiormq.connect(stage.url(who)))
        for _ in range(channels):
            await granted[0].channel()
            held += 1
    except REFUSALS:
        """The limit."""
    for connection in granted:
        try:
            await connection.close()
        except REFUSALS:
            """It closed the connection itself."""
    return len(granted), held


async def test_an_agent_has_two_connections_of_four_channels_and_others_have_more(stage: Stage) -> None:
    assert await opened(stage, stage.victim, CONNECTIONS + 3, 0) == (CONNECTIONS, 0)
    assert await opened(stage, stage.victim, 1, CHANNELS + 3) == (1, CHANNELS)
    assert await opened(stage, stage.wide, CONNECTIONS + 3, CHANNELS + 3) == (CONNECTIONS + 3, CHANNELS + 3)


async def say(stage: Stage, who: Somebody, size: int, **properties: object) -> str:
    """Under its own key; what the broker answers, empty when it takes it."""
    try:
        async with stage.channel(who) as channel:
            envelope = Basic.Properties(user_id=who.name, **properties)  # type: ignore[arg-type]
            key = f"{who.name}.{KEY}"
            await asyncio.wait_for(channel.basic_publish(b"x" * size, exchange=AGENTS, routing_key=key, properties=envelope), 10)
    except REFUSALS as refused:
        return str(refused)
    return ""


async def test_a_message_has_a_largest_size_for_everybody(stage: Stage) -> None:
    assert await say(stage, stage.ann, MAX_MESSAGE_BYTES) == ""
    assert "larger than configured max size" in await say(stage, stage.ann, MAX_MESSAGE_BYTES + 1)
    assert "larger than configured max size" in await say(stage, stage.wide, 1 << 24)


async def test_headers_larger_than_a_frame_end_the_connection(stage: Stage) -> None:
    assert await say(stage, stage.ann, 1, headers={"x": "y" * 100_000}) == ""
    assert await say(stage, stage.ann, 1, headers={"x": "y" * 300_000}) != ""


@pytest.mark.parametrize("envelope", [{"expiration": "soon"}, {"expiration": "-1"}])
async def test_nonsense_in_the_envelope_is_refused(stage: Stage, envelope: dict[str, str]) -> None:
    assert "PRECONDITION_FAILED" in await say(stage, stage.ann, 1, **envelope)


async def test_a_mailbox_that_nobody_empties_holds_so_much_and_the_others_are_not_held_up(stage: Stage) -> None:
    """An agent fills its own by asking and never reading: the services are told that it is full, at once."""
    full = [await _put(stage, "scheduler", stage.ann.name) for _ in range(MAILBOX_LENGTH + 50)]
    assert sum(full) == MAILBOX_LENGTH
    assert await stage.messages(mailbox(stage.ann.name)) == MAILBOX_LENGTH
    assert await _put(stage, "scheduler", stage.victim.name)
    stage.management.put(f"/api/queues/{stage.vhost}/unbounded", json={"durable": True}).raise_for_status()
    body = {"routing_key": "wide"}
    stage.management.post(f"/api/bindings/{stage.vhost}/e/farm.mailboxes/q/unbounded", json=body).raise_for_status()
    assert all([await _put(stage, "scheduler", "wide") for _ in range(MAILBOX_LENGTH + 50)]), "the limit is the mailbox's"


async def test_what_is_taken_and_never_answered_escapes_the_mailboxs_bounds_and_is_seen(stage: Stage) -> None:
    """The broker counts what waits, not what it has handed out: so the scheduler looks."""
    farm = stage.farm
    broker = Broker(
        farm.http("RABBIT_MANAGEMENT"), farm["FARM_RABBIT_ADMIN_USER"], farm["FARM_RABBIT_ADMIN_PASSWORD"], stage.vhost
    )
    channel = await stage.kept_channel(stage.ann)
    taken: list[object] = []

    async def take(message: object) -> None:
        taken.append(message)

    await channel.basic_consume(mailbox(stage.ann.name), take, no_ack=False)
    for number in range(1, MOST_UNANSWERED + 100):
        assert await _put(stage, "scheduler", stage.ann.name), "its bounds never hold it up"
        if number % 100 == 0:
            await until(partial(_has, taken, number), f"{number} are handed out", 20)
    await until(lambda: broker.unanswered().get(stage.ann.name, 0) > MOST_UNANSWERED, "the broker tells so", 30)
    broker.close()


def _has(taken: list[object], number: int) -> bool:
    return len(taken) >= number


async def _put(stage: Stage, service: str, agent: str) -> bool:
    """Into a mailbox, as a service; False when the broker says that it is full."""
    void = AttemptVoid(agent=agent, job="j", chunk="c", attempt="a", reason="because")
    who = Somebody(service, stage.farm.service_passwords("AMQP")[service])
    channel = await stage.kept_channel(who)
    try:
        await channel.basic_publish(void.model_dump_json().encode(), exchange="farm.mailboxes", routing_key=agent)
    except aiormq.exceptions.DeliveryError:
        return False
    return True


@pytest.mark.parametrize("vhost", ["/", "farm", "no-such-place"])
async def test_no_other_virtual_host_lets_it_in(stage: Stage, vhost: str) -> None:
    with pytest.raises(REFUSALS):
        await aiormq.connect(stage.url(stage.ann, vhost.replace("/", "%2F")))


async def test_nobody_else_s_name_lets_it_in(stage: Stage) -> None:
    ann, victim = stage.ann, stage.victim
    tries = [("guest", "guest"), ("", ""), (ann.name, ""), (ann.name, victim.secret), (victim.name, ann.secret)]
    tries += [(service, ann.secret) for service in stage.farm.service_passwords("AMQP")]
    for name, secret in tries:
        with pytest.raises(REFUSALS):
            await aiormq.connect(stage.url(Somebody(name, secret)))
    await stage.leave(ann)
    assert await say(stage, ann, 1) == "", "her own lets her in"


async def test_the_management_knows_no_agent(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.farm.http("RABBIT_MANAGEMENT"), trust_env=False) as http:
        for who, answer in ((stage.ann, 401), (stage.wide, 200)):
            got = [(await http.get(f"/api/{path}", auth=(who.name, who.secret))).status_code for path in QUESTIONS]
            assert got == [answer] * len(QUESTIONS)


def test_the_node_speaks_nothing_else_and_to_this_machine_only(stage: Stage) -> None:
    (node,) = stage.management.get("/api/nodes").json()
    assert {plugin for plugin in node["enabled_plugins"] if not plugin.endswith("_agent")} == {
        "rabbitmq_management",
        "rabbitmq_prometheus",
    }
    listeners = stage.management.get("/api/overview").json()["listeners"]
    assert {one["protocol"] for one in listeners} <= SPOKEN
    assert {address for one in listeners for address in listening(one["port"])} == {"127.0.0.1"}


def listening(port: int) -> set[str]:
    """The addresses of this machine at which a TCP port is listened to, by the kernel's own word."""
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, at = local.partition(":")
            if state == "0A" and int(at, 16) == port:
                words = struct.unpack(f">{len(address) // 8}I", bytes.fromhex(address))
                found.add(socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words)))
    return found


@pytest.mark.parametrize("protocol", FOREIGN)
async def test_other_protocols_are_shown_the_door(stage: Stage, protocol: str) -> None:
    """The broker names the one it speaks, or says nothing, and hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.farm.port("AMQP"))
    writer.write(FOREIGN[protocol])
    answer = b""
    with suppress(ConnectionError):
        while heard := await asyncio.wait_for(reader.read(64), 15):
            answer += heard
    with suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()
    assert answer in (b"", b"AMQP\x00\x00\x09\x01")


async def test_only_passwords_prove_who_one_is(stage: Stage) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.farm.port("AMQP"))
    writer.write(b"AMQP\x00\x00\x09\x01")
    start = await asyncio.wait_for(reader.readuntil(b"\xce"), 15)
    writer.close()
    await writer.wait_closed()
    assert b"PLAIN" in start
    assert not any(mechanism in start for mechanism in (b"ANONYMOUS", b"EXTERNAL", b"CR-DEMO"))
