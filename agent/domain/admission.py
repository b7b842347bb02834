"""Whether to take an assignment: taken, refused with a reason, or passed over in silence."""

from dataclasses import dataclass

from agent.domain.attempt import FROZEN
from agent.domain.gpus import refusal
from contracts.events import ChunkAssigned
from contracts.values import MICRO, Acceptance, Gpu, Kind, Renderer

ANYTHING = Acceptance()
MIN_MEMORY_BYTES = 1_000_000_000
"""Blender after its start needs a quarter of this; less is never lent."""


MOST_IN_HAND = 64
"""So many a pulse can name."""


@dataclass(frozen=True)
class Machine:
    """What this agent has and lends, as it stands now. `known`: every attempt it was ever given and still remembers.

    One attempt more than there are slots is taken: the slot's last one may be about to end, and it waits for that.
    """

    agent: str
    images: tuple[str, ...]
    memory_bytes: int
    free_disk_bytes: int
    slots: int
    in_hand: int
    known: frozenset[str]
    gpus: tuple[Gpu, ...] = ()
    gpus_taken: frozenset[str] = frozenset()
    open: bool = True
    resting: bool = False
    accepts: Acceptance = ANYTHING
    named: int = 0
    """In hand, with those that are about to end: all that a pulse names."""


@dataclass(frozen=True)
class Taken:
    pass


@dataclass(frozen=True)
class Refused:
    """Told to the scheduler."""

    text: str


@dataclass(frozen=True)
class PassedOver:
    """A duplicate, or too late to be of use: nothing is said."""

    text: str


def admit(assignment: ChunkAssigned, machine: Machine, seconds_left: float) -> Taken | Refused | PassedOver:
    """`seconds_left` until the grant ends, by the farm's clock."""
    if assignment.grant.attempt in machine.known:
        return PassedOver("known already")
    if seconds_left <= 0:
        return PassedOver("the grant has ended")
    refusal = next((text for wrong, text in _reasons(assignment, machine) if wrong), None)
    return Refused(refusal) if refusal else Taken()


def _reasons(assignment: ChunkAssigned, machine: Machine) -> tuple[tuple[bool, str], ...]:
    needed, lent, taken = memory(assignment), machine.memory_bytes, disk(assignment)
    return (
        (assignment.grant.agent != machine.agent, "the grant names another agent"),
        (not machine.open, "the agent is shutting down"),
        (machine.resting, FROZEN),
        (assignment.renderer is not Renderer.BLENDER, f"no renderer {assignment.renderer} here"),
        (assignment.image not in machine.images, f"image {assignment.image[:19]}… is not one this machine's owner agreed to"),
        (needed > lent, f"needs {needed / 1e9:.1f} GB of memory, {lent / 1e9:.1f} GB are lent"),
        (taken > machine.free_disk_bytes, f"needs {taken / 1e9:.1f} GB of disk, {machine.free_disk_bytes / 1e9:.1f} GB are free"),
        (machine.in_hand > machine.slots or machine.named >= MOST_IN_HAND, "every slot is taken"),
        *((True, why) for why in (refusal(assignment.gpu, machine.gpus, machine.gpus_taken),) if why),
        *_unwanted(assignment, machine.accepts),
    )


def _unwanted(assignment: ChunkAssigned, rules: Acceptance) -> tuple[tuple[bool, str], ...]:
    """Against the lender's own rules. What an assignment does not say fulfils no rule; an inspection has no engine yet."""
    price, needed = assignment.price, memory(assignment)
    is_cheap = bool(rules.minimum_price) and (price is None or price < rules.minimum_price)
    engines = rules.engines if assignment.grant.kind is not Kind.INSPECT else ()
    most = rules.memory_bytes
    return (
        (is_cheap, f"its lender wants {rules.minimum_price / MICRO:g} credits per WU, it pays {(price or 0) / MICRO:g}"),
        (
            bool(engines) and assignment.engine not in engines,
            f"its lender does not take the engine {assignment.engine or '(unknown)'}",
        ),
        (
            most is not None and needed > most,
            f"its lender takes scenes of at most {(most or 0) / 1e9:.1f} GB, not {needed / 1e9:.1f}",
        ),
        (bool(rules.renters) and assignment.renter not in rules.renters, "its lender takes the work of certain renters only"),
        (rules.by_hand and not assignment.chosen, "its lender chooses by hand and has not said yes to it"),
    )


def memory(assignment: ChunkAssigned) -> int:
    """What the container gets, in bytes."""
    return max(MIN_MEMORY_BYTES, assignment.memory_bytes)


def disk(assignment: ChunkAssigned) -> int:
    """What it may take, in bytes: the archive, what it unpacks to, and its pictures, which stay until it has ended."""
    return 3 * assignment.bundle_bytes + max(1 << 30, _pictures(assignment))


def _pictures(assignment: ChunkAssigned) -> int:
    """As many as there are pixels: a picture hardly takes more, and mostly half. (The grant's bound is for strangers: sixty tiny
    ones would need four gigabytes.) Those of a probe are thrown away."""
    picture, count = assignment.picture, 0 if assignment.grant.kind is Kind.PROBE else len(assignment.grant)
    return count * picture.width * picture.height * 4 * (picture.bits // 8)
