"""The money side of one job: what is held for it, what was charged, which price is firm, and how it ends.

Theory. `held_micro` is all that was ever set aside for the job and `charged_micro` all that was taken of it, so that at any time
charged ≤ held ≤ cap, where the cap is the deposit until a price is accepted and that price afterwards. The document never grows
with its frames: which frames are charged is asked of the ledger, here are only counts.

The moves a job's money can make:
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from contracts.events import AgentCharge, Event, JobCharged, JobSubmitted
from contracts.values import PriceLine, Ranges
from services.billing.domain.faults import Breach
from services.billing.domain.ledger import Posting
from services.billing.domain.pricing import Terms


class Stage(StrEnum):
    SUBMITTED = "submitted"
    """Known; the deposit is not decided."""
    REFUSED = "refused"
    """No deposit, hence no work; waits for its seal."""
    DEPOSITED = "deposited"
    HELD = "held"
    """A price was accepted and is held in full."""
    SETTLED = "settled"


STAGES: dict[Stage, frozenset[Stage]] = {
    Stage.SUBMITTED: frozenset({Stage.REFUSED, Stage.DEPOSITED}),
    Stage.REFUSED: frozenset({Stage.SETTLED}),
    Stage.DEPOSITED: frozenset({Stage.HELD, Stage.SETTLED}),
    Stage.HELD: frozenset({Stage.HELD, Stage.SETTLED}),
    Stage.SETTLED: frozenset(),
}


class OfferState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"


OFFER_STATES: dict[OfferState, frozenset[OfferState]] = {
    OfferState.OPEN: frozenset({OfferState.ACCEPTED, OfferState.DECLINED, OfferState.EXPIRED}),
    OfferState.ACCEPTED: frozenset(),
    OfferState.DECLINED: frozenset(),
    OfferState.EXPIRED: frozenset(),
}


@dataclass(frozen=True)
class Offer:
    """The newest quote. `sampling_micro` is its line for sampling: the renter pays no more for it once the price is firm."""

    version: int
    state: OfferState
    price_micro: int
    sampling_micro: int
    lines: tuple[PriceLine, ...]
    terms: Terms
    expires_at: datetime
    within_max_cost: bool

    def to(self, state: OfferState) -> "Offer":
        """Raises Breach for a move that is not in the table."""
        if state not in OFFER_STATES[self.state]:
            raise Breach(f"quote {self.version} cannot go from {self.state} to {state}")
        return replace(self, state=state)


@dataclass(frozen=True)
class Seal:
    """The frames that storage says the job has in the end."""

    outcome: str
    frames: Ranges
    count: int


@dataclass(frozen=True)
class Job:
    """`measured`: attempts whose work SamplingMeasured told; `awaited`: sampling attempts with stored frames that it has not told
    yet. `freed_micro`: price of quoted frames that late samples gave. `given_micro`: sampling that the farm paid itself."""

    job: str
    account: str
    price_per_wu_micro: int
    max_cost: int | None = None
    stage: Stage = Stage.SUBMITTED
    book_price_micro: int = 0
    deposit_micro: int = 0
    held_micro: int = 0
    charged_micro: int = 0
    sampling_micro: int = 0
    given_micro: int = 0
    freed_micro: int = 0
    rendering_micro: int = 0
    rendered: int = 0
    frames: int = 0
    sampled_frames: int = 0
    measured: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    agents: tuple[AgentCharge, ...] = ()
    revision: int = 0
    offer: Offer | None = None
    accepted_version: int = 0
    terms: Terms | None = None
    seal: Seal | None = None

    @classmethod
    def of(cls, event: JobSubmitted) -> "Job":
        return cls(event.job, event.account, event.price_per_wu_micro, event.limits.max_cost)

    @property
    def room_micro(self) -> int:
        """What may still be charged."""
        return self.held_micro - self.charged_micro

    @property
    def over(self) -> bool:
        """Nothing more is promised to this job: no deposit, sealed, or settled."""
        return self.seal is not None or self.stage in (Stage.REFUSED, Stage.SETTLED)

    def to(self, stage: Stage) -> "Job":
        """Raises Breach for a move that is not in the table."""
        if stage not in STAGES[self.stage]:
            raise Breach(f"the money of job {self.job} cannot go from {self.stage} to {stage}")
        return replace(self, stage=stage)

    def charged(self) -> JobCharged:
        return JobCharged(
            job=self.job,
            account=self.account,
            revision=self.revision,
            charged_micro=self.charged_micro,
            frames=self.frames,
            agents=self.agents,
        )

    def credited(self, postings: Sequence[Posting]) -> tuple[AgentCharge, ...]:
        """The agents' sums with the earnings of these postings (reversals count negative); COVERED ones count as a frame."""
        sums = {one.agent: one for one in self.agents}
        for posting in postings:
            agent, owner = str(posting.agent), str(posting.owner)
            so_far = sums.get(agent) or AgentCharge(agent=agent, owner=owner, frames=0, micro_wu=0, earned_micro=0)
            sums[agent] = _plus(so_far, posting)
        return tuple(sums.values())


@dataclass(frozen=True)
class Outcome:
    """What a decision changes: saved together or not at all."""

    job: Job
    postings: tuple[Posting, ...] = ()
    events: tuple[Event, ...] = ()


def _plus(sums: AgentCharge, posting: Posting) -> AgentCharge:
    sign = -1 if posting.reverses else 1
    return sums.model_copy(
        update={
            "frames": sums.frames + (sign if posting.frame is not None else 0),
            "micro_wu": sums.micro_wu + sign * posting.micro_wu,
            "earned_micro": sums.earned_micro + posting.earned_micro,
        }
    )
