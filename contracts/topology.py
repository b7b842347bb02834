"""Who says what to whom: exchanges, ROUTES, queues and permissions as plain data.

Theory. One durable queue per (service, event), so that a subscriber is one grep away: `FramesStored` → key `frames.stored.v1` →
queue `scheduler.frames.stored.v1` → handler `on_frames_stored`. Four exchanges: services to services, agents to services, both
to one agent's mailbox, and the parking place. The broker's users, permissions and bindings and the AsyncAPI document are made
from ROUTES; nothing about them is written twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from contracts import events as e
from contracts.events import Event
from contracts.shards import shard_of

INTAKE, SCHEDULER, STORAGE, BILLING, NOTIFIER = "intake", "scheduler", "storage", "billing", "notifier"
SERVICES = (INTAKE, SCHEDULER, STORAGE, BILLING, NOTIFIER)
AGENT = "agent"
"""Publisher of what agents say, and the one subscriber of what lies in a mailbox."""

EVENTS, AGENTS, MAILBOXES, DEAD = "farm.events", "farm.agents", "farm.mailboxes", "farm.dead"
EXCHANGES = MappingProxyType({EVENTS: "topic", AGENTS: "topic", MAILBOXES: "direct", DEAD: "direct"})

RETRY_STEPS_MS = (500, 2_000, 10_000, 30_000, 120_000)
"""Growing delays of the one retry ladder each service has; the last step repeats until RETRIES are used up."""
RETRIES = 12
MAX_MESSAGE_BYTES = 262_144
MAILBOX_LENGTH = 256
MAILBOX_ARGUMENTS = MappingProxyType(
    {"x-max-length": MAILBOX_LENGTH, "x-max-length-bytes": 4 << 20, "x-overflow": "reject-publish"}
)
AGENTS_BOUNDS = MappingProxyType({"x-max-length": 100_000, "x-max-length-bytes": 512 << 20})
"""Of an inbox that agents fill, and of each step of a ladder that their words climb: neither many small ones nor few large ones
may fill the broker's disk. What only services say is never refused: it would be announced twice."""
TRANSIENT_BOUNDS = MappingProxyType({"x-max-length": 10_000, "x-max-length-bytes": 64 << 20})
DEAD_BOUNDS = MappingProxyType({"x-max-length": 10_000, "x-max-length-bytes": 256 << 20})


@dataclass(frozen=True)
class Route:
    """One event, its one publisher, its subscribers.

    `hot`: taken in batches, by a single active consumer unless transient. `transient`: may be lost; oldest dropped first.
    `ttl_seconds`: a message not taken by then is worthless and dropped.
    """

    event: type[Event]
    publisher: str
    subscribers: tuple[str, ...]
    hot: bool = False
    transient: bool = False
    ttl_seconds: int | None = None


ROUTES: tuple[Route, ...] = (
    # from agents
    Route(e.AgentReady, AGENT, (SCHEDULER,), hot=True),
    Route(e.AgentPulse, AGENT, (SCHEDULER,), hot=True, transient=True),
    Route(e.ResourcesSampled, AGENT, (SCHEDULER, INTAKE), hot=True, transient=True),
    Route(e.InspectionReported, AGENT, (SCHEDULER,)),
    Route(e.ProbeMeasured, AGENT, (SCHEDULER,)),
    Route(e.BundleRequested, AGENT, (STORAGE,), transient=True),
    Route(e.FramesRendered, AGENT, (STORAGE,), hot=True),
    Route(e.FramesCompleted, AGENT, (STORAGE, SCHEDULER, INTAKE), hot=True),
    Route(e.ChunkCompleted, AGENT, (SCHEDULER,), hot=True),
    Route(e.ChunkReleased, AGENT, (SCHEDULER,)),
    Route(e.ChunkFailed, AGENT, (SCHEDULER,)),
    Route(e.SecretOffered, AGENT, (SCHEDULER,)),
    # to one agent's mailbox
    Route(e.ChunkAssigned, SCHEDULER, (AGENT,), ttl_seconds=30),
    Route(e.AttemptVoid, SCHEDULER, (AGENT,), ttl_seconds=600),
    Route(e.AttemptCancelled, SCHEDULER, (AGENT,), ttl_seconds=600),
    Route(e.AgentOrdered, SCHEDULER, (AGENT,), ttl_seconds=600),
    Route(e.FarmChanged, SCHEDULER, (AGENT,), ttl_seconds=600),
    Route(e.BundleGranted, STORAGE, (AGENT,), transient=True, ttl_seconds=60),
    Route(e.UploadGranted, STORAGE, (AGENT,), transient=True, ttl_seconds=300),
    # uploads
    Route(e.UploadRequested, INTAKE, (STORAGE,)),
    Route(e.PartsRequested, INTAKE, (STORAGE,), transient=True),
    Route(e.UploadFinished, INTAKE, (STORAGE,)),
    Route(e.PartsGranted, STORAGE, (INTAKE,), transient=True),
    Route(e.BundleStored, STORAGE, (INTAKE,)),
    Route(e.BundleRejected, STORAGE, (INTAKE,)),
    # jobs
    Route(e.JobSubmitted, INTAKE, (BILLING, SCHEDULER, STORAGE)),
    Route(e.JobControlled, INTAKE, (SCHEDULER,)),
    Route(e.JobInspected, SCHEDULER, (INTAKE, NOTIFIER)),
    Route(e.SamplingMeasured, SCHEDULER, (BILLING,)),
    Route(e.JobEstimated, SCHEDULER, (BILLING, INTAKE)),
    Route(e.JobQuoted, BILLING, (INTAKE, SCHEDULER, NOTIFIER)),
    Route(e.QuoteAccepted, INTAKE, (BILLING, SCHEDULER)),
    Route(e.QuoteDeclined, INTAKE, (BILLING, SCHEDULER)),
    Route(e.QuoteExpired, BILLING, (SCHEDULER, INTAKE)),
    Route(e.JobStateChanged, SCHEDULER, (INTAKE,)),
    Route(e.JobProgressed, SCHEDULER, (INTAKE,), transient=True),
    Route(e.DeadlineMissed, SCHEDULER, (INTAKE, NOTIFIER)),
    Route(e.JobRendered, SCHEDULER, (STORAGE, INTAKE)),
    Route(e.JobFailed, SCHEDULER, (STORAGE, INTAKE, NOTIFIER)),
    Route(e.JobCancelled, SCHEDULER, (STORAGE, INTAKE, NOTIFIER)),
    Route(e.JobPackaged, STORAGE, (INTAKE, NOTIFIER, SCHEDULER)),
    Route(e.JobPurged, STORAGE, (INTAKE, SCHEDULER)),
    Route(e.DownloadsRequested, INTAKE, (STORAGE,), transient=True),
    Route(e.DownloadsGranted, STORAGE, (INTAKE,), transient=True),
    # frames
    Route(e.FramesStored, STORAGE, (SCHEDULER, BILLING, INTAKE), hot=True),
    Route(e.FramesRejected, STORAGE, (SCHEDULER, INTAKE)),
    Route(e.FramesSuperfluous, STORAGE, (SCHEDULER,)),
    Route(e.FramesSealed, STORAGE, (BILLING, SCHEDULER, INTAKE)),
    # money
    Route(e.AccountOpened, INTAKE, (BILLING, NOTIFIER)),
    Route(e.WebhookSet, INTAKE, (NOTIFIER,)),
    Route(e.CreditsOrdered, INTAKE, (BILLING,)),
    Route(e.DepositHeld, BILLING, (SCHEDULER, INTAKE)),
    Route(e.CreditsHeld, BILLING, (SCHEDULER, INTAKE)),
    Route(e.HoldRefused, BILLING, (SCHEDULER, INTAKE, NOTIFIER)),
    Route(e.CopiesHonoured, SCHEDULER, (BILLING,)),
    Route(e.JobCharged, BILLING, (INTAKE,)),
    Route(e.JobSettled, BILLING, (INTAKE, NOTIFIER)),
    Route(e.BalanceChanged, BILLING, (INTAKE,)),
    # the whole farm
    Route(e.FarmControlled, INTAKE, (SCHEDULER,)),
    # agents, as the scheduler decides them
    Route(e.EnrolmentRequested, INTAKE, (SCHEDULER,)),
    Route(e.RevocationRequested, INTAKE, (SCHEDULER,)),
    Route(e.AgentControlled, INTAKE, (SCHEDULER,)),
    Route(e.JobOffered, SCHEDULER, (INTAKE,)),
    Route(e.OfferWithdrawn, SCHEDULER, (INTAKE,)),
    Route(e.OfferAnswered, INTAKE, (SCHEDULER,)),
    Route(e.AgentEnrolled, SCHEDULER, (INTAKE, BILLING, STORAGE)),
    Route(e.AgentChanged, SCHEDULER, (INTAKE, STORAGE)),
    Route(e.AgentMisbehaved, STORAGE, (SCHEDULER,)),
    Route(e.AgentRevoked, SCHEDULER, (INTAKE, STORAGE)),
)

_BY_EVENT = {route.event: route for route in ROUTES}
BY_KEY = MappingProxyType({route.event.key(): route for route in ROUTES})


def route(event: type[Event]) -> Route:
    """The event's row in ROUTES. Raises KeyError for an event that nobody has routed."""
    return _BY_EVENT[event]


def exchange(event: type[Event]) -> str:
    """Where this event is published."""
    row = route(event)
    if row.publisher == AGENT:
        return AGENTS
    return MAILBOXES if row.subscribers == (AGENT,) else EVENTS


def inbox(service: str, event: type[Event], shard: int = 0) -> str:
    """Name of the queue in which `service` finds `event`. Raises ValueError when ROUTES does not name it a subscriber. The first
    shard's inboxes bear the plain names; so do all that are not spread."""
    row = route(event)
    if service not in row.subscribers:
        raise ValueError(f"{service} does not subscribe to {event.__name__}")
    return f"{service}.{event.key()}" + (f".{shard}" if shard and is_spread(service, row) else "")


def is_spread(service: str, row: Route) -> bool:
    """Over the scheduler's shards, by agent: what agents say often."""
    return service == SCHEDULER and row.publisher == AGENT and row.hot


def shard_exchange(shard: int) -> str:
    """Where the words of a shard's agents pass through, each agent bound by its own id, should there be more than one shard."""
    return f"farm.shard.{shard}"


def shard_exchanges(shards: int) -> Iterator[str]:
    """Topic exchanges that only the broker publishes to; with one shard there are none."""
    yield from (shard_exchange(shard) for shard in range(shards if shards > 1 else 0))


def mailbox(agent: str) -> str:
    return f"agent.{agent}"


def ways_to_shard(agent: str, shards: int) -> Iterator[tuple[str, str, str]]:
    """(source, destination, routing key) between exchanges, for everything one agent says; one shard hears everybody anyway."""
    if shards > 1:
        yield AGENTS, shard_exchange(shard_of(agent, shards)), f"{agent}.#"


def dead_letters(service: str) -> str:
    return f"dead.{service}"


def retry(service: str, step: int) -> str:
    """Name of both exchange and queue of a step (from 0) of a service's ladder; beyond the last step the last one repeats."""
    return f"farm.retry.{service}.{RETRY_STEPS_MS[min(step, len(RETRY_STEPS_MS) - 1)]}"


@dataclass(frozen=True)
class Queue:
    name: str
    arguments: dict[str, Any]
    bindings: tuple[tuple[str, str], ...] = ()
    """(exchange, routing key) each."""


def queues(shards: int = 1) -> Iterator[Queue]:
    """Every queue of the farm but the mailboxes, with so many shards of the scheduler."""
    for service in SERVICES:
        for row in ROUTES:
            if service in row.subscribers:
                for shard in range(shards if is_spread(service, row) else 1):
                    yield _inbox(service, row, shard, shards)
        yield Queue(
            dead_letters(service),
            {"x-queue-type": "quorum", **DEAD_BOUNDS, "x-overflow": "drop-head"},
            ((DEAD, service),),
        )
        for step, delay in enumerate(RETRY_STEPS_MS):
            yield _retry(service, step, delay)


def _inbox(service: str, row: Route, shard: int, shards: int) -> Queue:
    key = row.event.key()
    source = shard_exchange(shard) if shards > 1 and is_spread(service, row) else AGENTS
    binding = (source, f"*.{key}") if row.publisher == AGENT else (EVENTS, key)
    if row.transient:
        arguments = {"x-queue-type": "classic", **TRANSIENT_BOUNDS, "x-overflow": "drop-head", "x-message-ttl": 60_000}
    else:
        arguments = {"x-queue-type": "quorum", "x-delivery-limit": 100, "x-overflow": "reject-publish"}
        if row.publisher == AGENT:
            # No dead letter exchange: an agent sets its messages' time to live, and would park as many as it likes, unheard.
            arguments |= AGENTS_BOUNDS
        else:
            arguments |= {
                "x-dead-letter-exchange": DEAD,
                "x-dead-letter-routing-key": service,
                "x-dead-letter-strategy": "at-least-once",
            }
        if row.hot:
            arguments["x-single-active-consumer"] = True
    return Queue(inbox(service, row.event, shard), arguments, (binding,))


def _retry(service: str, step: int, delay: int) -> Queue:
    name, hears_agents = retry(service, step), any(row.publisher == AGENT and service in row.subscribers for row in ROUTES)
    arguments = {
        "x-queue-type": "quorum",
        "x-message-ttl": delay,
        "x-dead-letter-exchange": "",
        "x-dead-letter-strategy": "at-least-once",
        **(AGENTS_BOUNDS if hears_agents else {}),
        "x-overflow": "reject-publish",
    }
    return Queue(name, arguments, ((name, ""),))


def retry_exchanges() -> Iterator[str]:
    """Fanout exchanges, one per service and step."""
    for service in SERVICES:
        for step in range(len(RETRY_STEPS_MS)):
            yield retry(service, step)


@dataclass(frozen=True)
class Permissions:
    """RabbitMQ's regular expressions for one user; `topics` maps a topic exchange to the keys it may publish."""

    configure: str
    write: str
    read: str
    topics: dict[str, str]


def service_permissions(service: str) -> Permissions:
    """Publish what ROUTES says, read the own inboxes, climb the own ladder, park."""
    said = [row for row in ROUTES if row.publisher == service]
    keys = sorted(row.event.key() for row in said if exchange(row.event) == EVENTS)
    exchanges = [EVENTS, DEAD] + ([MAILBOXES] if any(exchange(row.event) == MAILBOXES for row in said) else [])
    writable = "|".join(_literal(name) for name in exchanges)
    return Permissions(
        configure="^$",
        write=rf"^({writable}|farm\.retry\.{service}\.[0-9]+)$",
        read=rf"^{service}\..+$",
        topics={EVENTS: f"^({'|'.join(_literal(key) for key in keys)})$" if keys else "^$", AGENTS: "^$"},
    )


def agent_permissions(agent: str) -> Permissions:
    """Exactly the own mailbox and the own keys. The broker's templating fills in the user's name."""
    return Permissions(
        configure="^$", write=rf"^{_literal(AGENTS)}$", read=rf"^{_literal(mailbox(agent))}$", topics={AGENTS: r"^{username}\."}
    )


AGENT_LIMITS = MappingProxyType({"max-connections": 2, "max-channels": 4})
AGENT_EVENTS_PER_SECOND = 100
"""What an agent may say to one service for long; more is a flood. Agents keep below it by themselves."""


def _literal(name: str) -> str:
    return name.replace(".", r"\.")
