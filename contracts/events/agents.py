"""Agents: who they are (from the scheduler) and how they are (from themselves)."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.events.chunks import AttemptInHand
from contracts.events.event import Event
from contracts.values import Acceptance, Benchmark, Digest, Hardware, Id, Label, Micro, Seconds, SecretHash, Sha256, Text


class AgentReady(Event):
    """Absolute, never +1: this process run has so many slots and these attempts in hand. Said at start, after a reconnect, on
    resume, and after a chunk was given back."""

    run: Id
    slots: Annotated[int, Field(ge=0, le=64)]
    attempts: Annotated[tuple[Id, ...], Field(max_length=64)] = ()
    ending: Annotated[tuple[Id, ...], Field(max_length=64)] = ()
    """Attempts in hand that are about to end: they occupy no slot any more, so that what follows is fetched meanwhile."""
    hardware: Hardware
    benchmark: Benchmark | None = None
    images: Annotated[tuple[Digest, ...], Field(max_length=16)] = ()
    bundles: Annotated[tuple[Sha256, ...], Field(max_length=100)] = ()
    version: Label = ""
    reason: Text = ""
    """Why no slot is offered; for its owner and the operator."""
    accepts: Acceptance | None = None


class AgentPulse(Event):
    """Every 10 s; renews all leases of the agent. Three missing ones void them."""

    run: Id
    attempts: Annotated[tuple[AttemptInHand, ...], Field(max_length=64)] = ()
    load: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] = 0.0
    uptime_seconds: Seconds = 0.0


class SecretOffered(Event):
    """The agent has made itself a new secret and asks that the broker takes it in place of the old one. Ids of offers grow; an
    older offer that comes late changes nothing. The broker letting the new secret in is the answer."""

    offer: Id
    secret_hash: SecretHash


class EnrolmentRequested(Event):
    """A lender's one-time code was used: a machine of this account may have a broker user, known by this hash of its secret."""

    agent: Id
    owner: Id
    name: Label
    secret_hash: SecretHash


class RevocationRequested(Event):
    """Its owner or the operator wants this machine gone for good; intake has checked that `by` may."""

    agent: Id
    by: Id
    reason: Text = ""


class AgentOrder(StrEnum):
    """What an owner wants of his machine, said from afar."""

    ENABLE = "enable"
    """Work as the machine itself says."""
    DRAIN = "drain"
    """Finish what is in hand, take nothing more."""
    DISABLE = "disable"
    """Give back what is in hand, take nothing more."""
    STOP = "stop"
    """As disable, and the program ends; started again by hand it works again."""


class AgentControlled(Event):
    """Its owner or the operator has said what it is to do; of several orders the one with the highest revision counts."""

    agent: Id
    order: AgentOrder
    revision: int
    by: Id


class AgentOrdered(Event):
    """The machine itself is told the order that stands."""

    agent: Id
    order: AgentOrder
    revision: int
    by: Id


class AgentEnrolled(Event):
    """A machine belongs to an account from now on; `house` when the operator runs and trusts it."""

    agent: Id
    owner: Id
    name: Label
    house: bool = False


class AgentChanged(Event):
    """Its state as the scheduler sees it; `revision` counts the changes of this agent."""

    agent: Id
    owner: Id
    state: Label
    reason: Text = ""
    revision: int
    micro_wu_per_minute: Micro = 0
    cores: float = 0


class AgentMisbehaved(Event):
    """It says more than any honest agent does; `count` is how much, of what `what` names. At most once a minute each."""

    agent: Id
    what: Label
    count: Annotated[int, Field(ge=0)] = 0


class AgentRevoked(Event):
    """Its credential is gone; whatever it left in inboxes counts for nothing."""

    agent: Id
    owner: Id
    reason: Text = ""
