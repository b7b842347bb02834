"""Deliveries that are settled together, the frames in them, and what is known of those."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from contracts.events import CompletedFrame
from contracts.grants import Grant
from services.storage.domain import frame as framing
from services.storage.domain.frame import Claim, FrameRecord, Standing, claim_id, record_id, refusal_id, staged_key
from services.storage.domain.job import Job, JobState


@dataclass(frozen=True)
class Delivery:
    """What an attempt says it has put into the store. `patient`: what is missing may still appear."""

    grant: Grant
    frames: tuple[CompletedFrame, ...]
    patient: bool = False
    trace: Mapping[str, str] = field(default_factory=dict)
    admitted: bool = False
    """The grant was checked before, and what was told of the files: both may have changed since."""


@dataclass(frozen=True)
class One:
    """One frame of a delivery, with the names it has in the store and the database."""

    delivery: Delivery
    frame: CompletedFrame

    @property
    def grant(self) -> Grant:
        return self.delivery.grant

    @property
    def claim(self) -> str:
        return claim_id(self.grant.attempt, self.frame.frame)

    @property
    def record(self) -> str:
        return record_id(self.grant.job, self.frame.frame)

    @property
    def refusal(self) -> str:
        return refusal_id(self.grant.attempt, self.frame.frame, self.frame.file_sha256)

    @property
    def staged(self) -> str:
        return staged_key(self.grant.attempt, self.frame.frame, self.frame.file_sha256)

    @property
    def ids(self) -> dict[str, str]:
        grant = self.grant
        told = {"job": grant.job, "chunk": grant.chunk, "attempt": grant.attempt, "agent": grant.agent}
        return {**told, "frame": str(self.frame.frame)}


@dataclass
class Round:
    """What is known at the beginning of a batch, and what it has come to."""

    now: datetime
    jobs: Mapping[str, Job]
    claims: Mapping[str, Claim]
    records: Mapping[str, FrameRecord]
    refused: set[str]
    arrived: dict[str, One] = field(default_factory=dict)
    """By record id: to be stored together at the end."""
    early: list[Delivery] = field(default_factory=list)
    """Have a frame that cannot be settled yet."""
    blamed: list[Delivery] = field(default_factory=list)
    """Have a frame that was rejected."""
    staged: list[str] = field(default_factory=list)
    """Keys that nobody needs any more."""

    def decided(self, one: One) -> str:
        """How this delivery was decided already, or empty."""
        if self.jobs[one.grant.job].state is not JobState.OPEN:
            return "job_closed"
        known = framing.standing(self.records.get(one.record), one.grant.attempt, one.frame.file_sha256, self.now)
        return "repeated" if known is Standing.REPEATED or one.refusal in self.refused else ""

    def claim(self, one: One) -> Claim | None:
        """What was told of this very file."""
        claim = self.claims.get(one.claim)
        return claim if claim and claim.file_sha256 == one.frame.file_sha256 else None

    def left(self, delivery: Delivery) -> int | None:
        """How many frames are still to be decided; None when nothing was told of one of them."""
        left = [one for frame in delivery.frames if not self.decided(one := One(delivery, frame))]
        return len(left) if all(self.claim(one) for one in left) else None
