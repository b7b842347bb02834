"""Agents: who they are (from the scheduler) and how they are (from themselves)."""

from typing import Annotated

from pydantic import Field

from contracts.events.chunks import AttemptInHand
from contracts.events.event import Event
from contracts.values import Benchmark, Digest, Hardware, Id, Label, Micro, Seconds, SecretHash, Sha256, Text


class AgentReady(Event):
    """Absolute, never +1: this process run has so many slots and these attempts in hand. Said at start, after a reconnect, on
    resume, and after a chunk was given back."""

    run: Id
    slots: Annotated[int, Field(ge=0, le=64)]
    attempts: Annotated[tuple[Id, ...], Field(max_length=64)] = ()
    hardware: Hardware
    benchmark: Benchmark | None = None
    images: Annotated[tuple[Digest, ...], Field(max_length=16)] = ()
    bundles: Annotated[tuple[Sha256, ...], Field(max_length=100)] = ()
    version: Label = ""


class AgentPulse(Event):
    """Every 10 s; renews all leases of the agent. Three missing ones void them."""

    run: Id
    attempts: Annotated[tuple[AttemptInHand, ...], Field(max_length=64)] = ()
    load: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] = 0.0
    uptime_seconds: Seconds = 0.0


class AgentEnrolled(Event):
    """A machine belongs to an account from now on; `house` when the operator runs and trusts it."""
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


class AgentRevoked(Event):
    """Its credential is gone; whatever it left in inboxes counts for nothing."""

    agent: Id
    owner: Id
    reason: Text = ""
