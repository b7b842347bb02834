"""What an agent's credential must not be able to do at the broker: one row an attempt, as data.

`{ann}` attacks; her name begins as `{victim}` does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from contracts.topology import (
    AGENT,
    AGENTS,
    DEAD,
    EVENTS,
    EXCHANGES,
    MAILBOX_ARGUMENTS,
    MAILBOXES,
    ROUTES,
    dead_letters,
    queues,
    retry,
    retry_exchanges,
)  # fmt: skip

OF_AGENTS = tuple(row.event.key() for row in ROUTES if row.publisher == AGENT)
KEY = OF_AGENTS[0]
BROKERS_OWN = ("amq.topic", "amq.direct", "amq.fanout", "amq.headers", "amq.match")
INBOX = "scheduler.chunk.failed.v1"
OWN, OTHERS = "agent.{ann}", "agent.{victim}"
MAILBOXES_OF = {"its own mailbox": (OWN, "{ann}"), "another's mailbox": (OTHERS, "{victim}")}
FACTS = {"x-dead-letter-exchange": EVENTS, "x-dead-letter-routing-key": "frames.stored.v1", "x-message-ttl": 1}
REPLY = "amq.rabbitmq.reply-to.g1h2AA5yZXBseUAxMjM0"


@dataclass(frozen=True)
class Attack:
    """A call of the AMQP client."""

    name: str
    call: str
    words: dict[str, Any] = field(default_factory=dict)

    async def run(self, channel: AbstractChannel, ann: str, victim: str) -> None:
        words = {
            name: value.format(ann=ann, victim=victim, ANN=ann.upper()) if isinstance(value, str) else value
            for name, value in self.words.items()
        }
        if self.call == "basic_consume":
            words["consumer_callback"] = _take
        if self.call == "basic_publish":
            user = words.pop("user_id", ann)
            words |= {"body": b"{}", "properties": Basic.Properties(user_id=user)}
        await getattr(channel, self.call)(**words)


async def _take(_: object) -> None:
    """What is delivered stays with the attacker."""


def reading() -> Iterator[Attack]:
    for queue in (*(one.name for one in queues()), OTHERS):
        yield Attack(f"consume {queue}", "basic_consume", {"queue": queue})
    for queue in (OTHERS, INBOX, dead_letters("scheduler"), retry("scheduler", 0)):
        yield Attack(f"take one message from {queue}", "basic_get", {"queue": queue})
        yield Attack(f"empty {queue}", "queue_purge", {"queue": queue})
    first = {"queue": OTHERS, "arguments": {"x-priority": 255}}
    yield Attack("consume another's mailbox before everybody else", "basic_consume", first)
    yield Attack("consume another's mailbox alone", "basic_consume", {"queue": OTHERS, "exclusive": True})


def speaking() -> Iterator[Attack]:
    for key in OF_AGENTS:
        yield _publish(f"say {key} as another", AGENTS, f"{{victim}}.{key}")
    for key in ("", KEY, f"*.{KEY}", f".{KEY}", "#", f"{{ann}}0.{KEY}", f"{{ANN}}.{KEY}", "{ann}", f"x.{{ann}}.{KEY}"):
        yield _publish(f"say something under {key!r}", AGENTS, key)
    for name in (*(name for name in EXCHANGES if name != AGENTS), *retry_exchanges(), *BROKERS_OWN):
        yield _publish(f"publish on {name}", name, f"{{ann}}.{KEY}")
    yield _publish("state a service's fact", EVENTS, "frames.stored.v1")
    yield _publish("put a message into another's mailbox", MAILBOXES, "{victim}")
    yield _publish("put a message into its own mailbox", MAILBOXES, "{ann}")
    yield _publish("park a message", DEAD, "scheduler")
    for queue in (INBOX, dead_letters("billing"), retry("storage", 0), OTHERS, OWN, REPLY):
        yield _publish(f"put a message straight into {queue}", "", queue)
    forged = {"exchange": AGENTS, "routing_key": f"{{ann}}.{KEY}", "user_id": "{victim}"}
    yield Attack("bear another's user id", "basic_publish", forged)


def _publish(name: str, exchange: str, key: str) -> Attack:
    return Attack(name, "basic_publish", {"exchange": exchange, "routing_key": key})


def shaping() -> Iterator[Attack]:
    """What is deleted comes last, so that each may succeed where it is allowed."""
    for name, how in _declared().items():
        yield Attack(f"declare {name}", "queue_declare", how)
    yield from _bindings()
    yield from _exchanges()
    for queue in (OWN, OTHERS, INBOX, dead_letters("scheduler"), retry("storage", 0)):
        yield Attack(f"delete {queue}", "queue_delete", {"queue": queue})
    for name in EXCHANGES:
        yield Attack(f"delete {name}", "exchange_delete", {"exchange": name})


def _bindings() -> Iterator[Attack]:
    for name, (queue, owner) in MAILBOXES_OF.items():
        again = {"queue": queue, "durable": True, "arguments": dict(MAILBOX_ARGUMENTS)}
        yield Attack(f"declare {name}", "queue_declare", again)
        for source in (EVENTS, AGENTS):
            yield Attack(f"bind {name} to {source}", "queue_bind", {"queue": queue, "exchange": source, "routing_key": "#"})
        yield Attack(f"unbind {name}", "queue_unbind", {"queue": queue, "exchange": MAILBOXES, "routing_key": owner})
    yield Attack("get another's post", "queue_bind", {"exchange": MAILBOXES, "queue": OWN, "routing_key": "{victim}"})
    yield Attack("give another its post", "queue_bind", {"exchange": MAILBOXES, "queue": OTHERS, "routing_key": "{ann}"})
    inbox = {"queue": INBOX, "exchange": AGENTS}
    yield Attack("unbind an inbox", "queue_unbind", {**inbox, "routing_key": "*.chunk.failed.v1"})
    yield Attack("bind an inbox to more", "queue_bind", {**inbox, "routing_key": "*.agent.ready.v1"})


def _declared() -> dict[str, dict[str, Any]]:
    return {
        "a queue": {"queue": "{ann}-1"},
        "a queue that lasts": {"queue": "{ann}-2", "durable": True},
        "a queue of its own": {"queue": "{ann}-3", "exclusive": True},
        "a passing queue": {"queue": "{ann}-4", "auto_delete": True},
        "a queue the broker names": {"queue": ""},
        "a queue whose dead letters are facts": {"queue": "{ann}-5", "arguments": FACTS},
        "a stream": {"queue": "{ann}-6", "durable": True, "arguments": {"x-queue-type": "stream"}},
    }


def _exchanges() -> Iterator[Attack]:
    for name, kind in EXCHANGES.items():
        again = {"exchange": name, "exchange_type": kind, "durable": True}
        yield Attack(f"declare {name} again", "exchange_declare", again)
    yield Attack("declare an exchange", "exchange_declare", {"exchange": "x-{ann}"})
    joined = {"destination": EVENTS, "source": AGENTS, "routing_key": "#"}
    yield Attack("make what agents say facts", "exchange_bind", joined)
    yield Attack("part exchanges", "exchange_unbind", joined)


def everything() -> list[Attack]:
    return [*reading(), *speaking(), *shaping()]
