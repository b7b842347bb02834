"""An agent: its slots, the attempts it has in hand, how fast it is, and whether it is heard.

Theory. What an agent says of itself is absolute: this run, so many slots, these attempts in hand. A hand is an attempt we gave or
are giving to it; free slots are slots without hands. A hand begins as a reservation before the chunk is claimed, is *heard* once
the agent speaks of it, and ends with the agent's word (completed, failed, given back, a ready without it) or its silence. Freeing
always names the attempt, so that late and repeated facts free nothing that is not theirs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.events import AgentChanged, AgentEnrolled, AgentOrder, AgentReady, AgentRevoked, Event
from contracts.values import Acceptance, Benchmark, Hardware
from contracts.work import BENCHMARK_MICRO_WU
from services.scheduler.domain import evidence as proofs
from services.scheduler.domain import images, rows
from services.scheduler.domain.evidence import Evidence, Shown
from services.scheduler.domain.hands import Hand, after_pulse, after_ready
from services.scheduler.domain.pace import Paces
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.quick import replace
from services.scheduler.domain.rows import Rows
from services.scheduler.domain.standing import NEWCOMER, Standing, unreliable
from services.scheduler.domain.states import AGENT_MOVES, HEARD_AGENT, Access, AgentState, IllegalMove, check

READIES = 8
REFERENCE = Benchmark(cpu_micros=BENCHMARK_MICRO_WU, wall_micros=BENCHMARK_MICRO_WU)
"""Stands in for an agent that has not shown a benchmark yet; what it may earn by that is bounded (domain.measured)."""
MOST_HANDS = 2
"""For each slot: what is said to be about to end may be a lie."""


@dataclass(frozen=True)
class Agent:
    agent: str
    owner: str
    name: str
    house: bool
    state: AgentState = AgentState.ENROLLED
    reason: str = ""
    revision: int = 0
    run: str = ""
    slots: int = 0
    hands: tuple[Hand, ...] = ()
    hardware: Hardware | None = None
    benchmark: Benchmark | None = None
    images: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    seen_at: datetime | None = None
    word: int = 0
    """Counts the readies taken over."""
    closed_since: datetime | None = None
    """Since it gave a chunk back it gets nothing, until it says that it is ready again."""
    micro_wu_per_minute: int = 0
    """Learned; of one slot."""
    told_micro_wu_per_minute: int = 0
    evidence: Evidence = proofs.NONE
    paces: Paces = ()
    """On the jobs it worked on last."""
    interruptions: Rows = ()
    standing: Standing = NEWCOMER
    quarantined_at: datetime | None = None
    access: Access = Access.OPEN
    secret_hash: str = ""
    """As the broker keeps it; empty for one enrolled before it was kept here."""
    offer: str = ""
    """The last new secret that was taken over."""
    offered_at: datetime | None = None
    order: AgentOrder = AgentOrder.ENABLE
    """Its owner's, that stands; `order_revision` is the highest one heard."""
    order_revision: int = 0
    ordered_by: str = ""
    accepts: Acceptance | None = None
    chosen: tuple[str, ...] = ()
    """Jobs that its lender said yes to, where he chooses by hand (domain.choosing)."""
    readies: tuple[str, ...] = ()
    """Message ids of the last readies, since a repeated one would deny what was given in between."""


Decided = tuple[Agent, list[Event]]


def enrolled(agent: str, owner: str, name: str, house: bool) -> Decided:
    return Agent(agent, owner, name, house), [AgentEnrolled(agent=agent, owner=owner, name=name, house=house)]


def revoked(agent: Agent, reason: str) -> Decided:
    if agent.state is AgentState.REVOKED:
        return agent, []
    gone, told = moved(replace(agent, slots=0), AgentState.REVOKED, reason)
    return gone, [*told, AgentRevoked(agent=agent.agent, owner=agent.owner, reason=reason)]


def quarantined(agent: Agent, reason: str, now: datetime) -> Decided:
    """By the rules, until the operator releases it. A house agent is the operator's own affair."""
    if agent.house or agent.state in (AgentState.QUARANTINED, AgentState.REVOKED):
        return agent, []
    return moved(replace(agent, slots=0, quarantined_at=now), AgentState.QUARANTINED, reason)


def released(agent: Agent, reason: str) -> Decided:
    """Out of quarantine; it is online when it says that it is ready. Raises IllegalMove for one that is not in it."""
    if agent.state is not AgentState.QUARANTINED:
        raise IllegalMove(f"agent {agent.agent} is {agent.state}, not quarantined")
    return moved(replace(agent, quarantined_at=None), AgentState.OFFLINE, reason)


def benchmark_of(agent: Agent) -> Benchmark:
    return agent.benchmark or REFERENCE


def free_slots(agent: Agent) -> int:
    busy = len([hand for hand in agent.hands if not hand.ending])
    free = min(agent.slots - busy, MOST_HANDS * agent.slots - len(agent.hands))
    return free if free > 0 and agent.closed_since is None and agent.state is AgentState.ONLINE else 0


def holds(agent: Agent, attempt: str) -> bool:
    return any(hand.attempt == attempt for hand in agent.hands)


def ready(agent: Agent, said: AgentReady, message: str, now: datetime, policy: Policy, others: Iterable[int] = ()) -> Decided:
    """Its word about itself, taken over; hands it denies are gone, unless they may still be on their way to it. `others`: what is
    known of the speeds of the farm's agents."""
    if agent.state not in HEARD_AGENT | {AgentState.ENROLLED, AgentState.OFFLINE}:
        return agent, []
    if said.run < agent.run or (message and message in agent.readies):
        return replace(agent, seen_at=now), []
    gone = {hand.attempt for hand in denied(agent, said, now, policy)}
    kept = tuple(after_ready(hand, said) for hand in agent.hands if hand.attempt not in gone)
    benchmark = said.benchmark or agent.benchmark
    changed = replace(
        agent,
        run=said.run,
        slots=said.slots,
        hands=kept,
        hardware=said.hardware,
        benchmark=benchmark,
        images=said.images,
        bundles=said.bundles,
        accepts=said.accepts,
        seen_at=now,
        word=agent.word + 1,
        closed_since=None,
        readies=(*agent.readies, message)[-READIES:],
        micro_wu_per_minute=agent.micro_wu_per_minute or (proofs.newcomer(benchmark, others) if benchmark else 0),
    )
    return _offering(changed, said.reason, policy.image)


def denied(agent: Agent, said: AgentReady, now: datetime, policy: Policy) -> list[Hand]:
    """Hands that this ready says are not there: heard before, or given too long ago to be still on their way."""
    return [
        hand
        for hand in agent.hands
        if hand.attempt not in said.attempts and (hand.heard or now - hand.since > policy.after("pickup"))
    ]


def pulsed(agent: Agent, run: str, attempts: Sequence[str], now: datetime, policy: Policy) -> Decided:
    """It lives. Attempts it speaks of are heard; heard ones it leaves out are missed from now on. One that gave a chunk back and
    lives on without a word about its slots is trusted with them again after a while."""
    if agent.state not in HEARD_AGENT | {AgentState.OFFLINE} or run < agent.run:
        return agent, []
    hands = tuple(after_pulse(hand, hand.attempt in attempts, now) for hand in agent.hands)
    is_over = agent.closed_since is not None and now - agent.closed_since > policy.after("closed")
    alive = replace(agent, seen_at=now, hands=hands, closed_since=None if is_over else agent.closed_since)
    if agent.state is AgentState.OFFLINE:
        return _offering(alive, "heard again", policy.image)
    if agent.slots and images.is_stale(agent.reason, agent.images, policy.image):
        return _offering(alive, agent.reason, policy.image)
    return alive, []


def vanished(agent: Agent, now: datetime, policy: Policy) -> list[Hand]:
    """Hands that are there no more: missed for too long, or never picked up."""
    return [
        hand
        for hand in agent.hands
        if (hand.missed_since is not None and now - hand.missed_since > policy.after("vanished"))
        or (not hand.heard and now - hand.since > policy.after("pickup"))
    ]


def reserved(agent: Agent, hands: Sequence[Hand]) -> Agent:
    """Slots taken for attempts about to claim their chunks. Raises ValueError when there are not so many free."""
    if len(hands) > free_slots(agent):
        raise ValueError(f"{agent.agent} has {free_slots(agent)} free slots, not {len(hands)}")
    return replace(agent, hands=(*agent.hands, *(replace(hand, word=agent.word) for hand in hands)))


def freed(agent: Agent, *attempts: str) -> Agent:
    """Without these hands."""
    kept = tuple(hand for hand in agent.hands if hand.attempt not in attempts)
    return agent if len(kept) == len(agent.hands) else replace(agent, hands=kept)


def gave_back(agent: Agent, attempt: str, now: datetime) -> Agent:
    """Without this hand, and with nothing given to it until it says that it is ready again: unless it has said so already since
    the attempt was given, for the two facts come in no order."""
    hand = next((hand for hand in agent.hands if hand.attempt == attempt), None)
    if hand is None:
        return agent
    return replace(freed(agent, attempt), closed_since=None if agent.word > hand.word else now)


def lost(agent: Agent) -> Decided:
    """Silent for too long."""
    return moved(replace(agent, hands=()), AgentState.OFFLINE, "not heard of")


def interrupted(agent: Agent, job: str, now: datetime, policy: Policy) -> Agent:
    """It left a chunk of this job; after three in a row it is kept off the job for a while."""
    row = rows.interrupted(agent.interruptions, job, now, policy)
    return replace(agent, interruptions=row, standing=unreliable(agent.standing))


def failed(agent: Agent, job: str, now: datetime, policy: Policy) -> Agent:
    """It could not do a chunk of this job; after two in a row it is kept off the job for a while."""
    row = rows.failed(agent.interruptions, job, now, policy)
    return replace(agent, interruptions=row, standing=unreliable(agent.standing))


def delivered(agent: Agent, job: str) -> Agent:
    """It completed a chunk of this job: the row of interruptions is broken."""
    kept = rows.broken(agent.interruptions, job)
    return agent if len(kept) == len(agent.interruptions) else replace(agent, interruptions=kept)


def is_barred(agent: Agent, job: str, now: datetime) -> bool:
    return rows.is_barred(agent.interruptions, job, now)


def learned(agent: Agent, shown: Shown) -> Decided:
    """Moves its speed towards what it has just shown, as far as that is believed (domain.evidence); said aloud when it differs by
    more than a tenth from what was said."""
    speed = shown.speed()
    if not speed:
        return agent, []
    evidence = proofs.noted(agent.evidence, shown, agent.slots)
    changed = replace(agent, micro_wu_per_minute=proofs.moved(agent.micro_wu_per_minute, speed, evidence), evidence=evidence)
    told = agent.told_micro_wu_per_minute
    return (changed, []) if abs(changed.micro_wu_per_minute - told) * 10 <= told else _told(changed)


def judged(agent: Agent, standing: Standing, image: str) -> Decided:
    """With another standing: into quarantine, or out of it. A house agent is the operator's own affair."""
    after = replace(agent, standing=standing)
    if agent.house or agent.state not in HEARD_AGENT or standing.until == agent.standing.until:
        return after, []
    return _offering(after, "", image)


def _offering(agent: Agent, reason: str, image: str) -> Decided:
    """Online with its slots, or draining: on its own word, on its owner's order, in quarantine, or without the farm's `image`."""
    until, lacks = agent.standing.until, images.lacks(agent.images, image)
    if agent.slots and agent.order is not AgentOrder.DRAIN and until is None and not lacks:
        return moved(agent, AgentState.ONLINE, "")
    why = reason or "offers no slot"
    if agent.order is AgentOrder.DRAIN:
        why = "told to take nothing more"
    elif agent.slots and until is not None:
        why = f"in quarantine until {until:%Y-%m-%d %H:%M} UTC: it failed jobs of different renters that others could render"
    elif agent.slots and lacks:
        why = images.another(image)
    if agent.state is AgentState.DRAINING and agent.reason != why:
        return _told(replace(agent, reason=why))
    return moved(agent, AgentState.DRAINING, why)


def moved(agent: Agent, state: AgentState, reason: str) -> Decided:
    if agent.state is state:
        return agent, []
    check(AGENT_MOVES, f"agent {agent.agent}", agent.state, state, agent.reason)
    return _told(replace(agent, state=state, reason=reason))


def _told(agent: Agent) -> Decided:
    agent = replace(agent, revision=agent.revision + 1, told_micro_wu_per_minute=agent.micro_wu_per_minute)
    event = AgentChanged(
        agent=agent.agent,
        owner=agent.owner,
        state=agent.state,
        reason=agent.reason,
        revision=agent.revision,
        micro_wu_per_minute=agent.micro_wu_per_minute,
        cores=agent.hardware.cores if agent.hardware else 0,
    )
    return agent, [event]
