"""A job as intake knows it: what its renter asked for and decided (intake's own), and what the other services have said of it.

Intake decides three things about a job: that it was submitted, what the renter said to its quote, and how the renter steers it
(a `control_revision` counted here, the one publisher). Everything below `state` is a projection: `projections.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.changes import Support
from contracts.events import (
    Action,
    AgentShare,
    Event,
    JobControlled,
    JobSubmitted,
    PackagedFile,
    QuoteAccepted,
    QuoteDeclined,
    SceneFacts,
    Wishes,
)
from contracts.values import Audience, Band, Finding, Limits, Order, Outlook, PriceLine, Ranges, RenderSettings, count
from services.intake.domain.credits import credit_text
from services.intake.domain.framelists import MOST_PARTS
from services.intake.domain.refusals import Refused, Why

NO_WISHES = Wishes()
NO_LIMIT = 10**15
"""Micro-credits; told in place of no limit, so that lifting one is told apart from saying nothing."""
ENDED = frozenset({"completed", "failed", "cancelled", "expired", "declined", "purged"})
"""States from which a renter's command changes nothing any more."""
PACKAGING = "packaging"
"""Nor from this one, though the job has not ended."""


@dataclass(frozen=True)
class Quote:
    version: int
    price_micro: int
    lines: tuple[PriceLine, ...]
    micro_wu: Band
    seconds: Band
    expires_at: datetime
    within_max_cost: bool
    outlook: Outlook | None = None
    reason: str = ""
    """Of a further version: why there is one, the frames it is about, what those cost at it and at the one before."""
    left_frames: int | None = None
    left_micro: int | None = None
    left_before_micro: int | None = None


@dataclass(frozen=True)
class Answer:
    """What the renter said to a quote; `key` is the Idempotency-Key it was said under."""

    version: int
    accepted: bool
    key: str


@dataclass(frozen=True)
class Progress:
    stored: int
    total: int
    remaining_seconds: Band | None = None
    agents: tuple[AgentShare, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """Billing could not hold the money; `version` 0 is the deposit."""

    version: int
    needed_micro: int
    available_micro: int
    text: str


@dataclass(frozen=True)
class Failure:
    code: str
    reason: str
    hint: str
    log_tail: str


@dataclass(frozen=True)
class Settlement:
    outcome: str
    held_micro: int
    charged_micro: int
    released_micro: int
    lines: tuple[PriceLine, ...]


@dataclass(frozen=True)
class Job:
    account: str
    name: str
    bundle: str
    bundle_bytes: int
    blend: str
    asked: Ranges
    """Empty: the file's own range."""
    settings: RenderSettings
    price_per_wu_micro: int
    limits: Limits
    fingerprint: str
    """Of the request, so that the same Idempotency-Key with another request is noticed."""
    submitted_at: datetime
    allows: tuple[Audience, ...] = ()
    """Whom the renter lets render, whom he likes best first; empty: anyone."""
    lenders: tuple[str, ...] = ()
    order: Order = Order.FORWARD
    control_revision: int = 0
    control: Action | None = None
    wishes: Wishes = NO_WISHES
    """But for bid and deadline, which are above."""
    answer: Answer | None = None

    state: str = "submitted"
    reason: str = ""
    state_revision: int = 0
    accepted_file: bool | None = None
    findings: tuple[Finding, ...] = ()
    facts: SceneFacts | None = None
    frames: Ranges = ()
    seconds: Band | None = None
    estimate_version: int = 0
    quote: Quote | None = None
    outlook: Outlook | None = None
    """Told since that quote, because the deadline or the start was moved."""
    expired_version: int = 0
    deposit_micro: int = 0
    held_version: int = 0
    held_micro: int = 0
    refusal: Refusal | None = None
    progress: Progress | None = None
    charge_revision: int = 0
    charged_micro: int = 0
    charged_frames: int = 0
    failure: Failure | None = None
    settlement: Settlement | None = None
    files: tuple[PackagedFile, ...] = ()
    files_until: datetime | None = None
    sealed: int | None = None
    purged: bool = False
    support: Support | None = None
    """The inspection's verdict on the file as a whole."""
    replaced_by: str = ""
    """The job that was submitted instead, with changes."""

    @property
    def total(self) -> int:
        """Frames the job is for, as far as is known by now."""
        known = self.frames or self.asked
        return count(known) - count(self.wishes.left_out) if known else (self.progress.total if self.progress else 0)

    @property
    def wanted(self) -> Wishes:
        """All that stands, as it is told with every control. Of a list from before it was bounded, as much as a message holds:
        nobody takes back what he has heard was left out, and a job that no control can be told of could not even be cancelled."""
        said = {"deadline": self.limits.deadline, "price_per_wu_micro": self.price_per_wu_micro}
        return self.wishes.model_copy(update={**said, "left_out": self.wishes.left_out[:MOST_PARTS]})

    @property
    def outlook_now(self) -> Outlook | None:
        """On the deadline as it stands; None when what was said is about another one."""
        said = self.outlook or (self.quote.outlook if self.quote else None)
        return said if said is not None and said.deadline == self.limits.deadline else None

    def affords(self, quote: Quote) -> bool:
        """By the renter's limit as it stands."""
        return self.limits.max_cost is None or quote.price_micro <= self.limits.max_cost

    @property
    def may_fetch_frames(self) -> bool:
        """Finished frames, also sampled ones, are the renter's once the price is held."""
        return self.held_version > 0 and not self.purged


def submitted(id: str, job: Job) -> Sequence[Event]:
    event = JobSubmitted(
        job=id,
        account=job.account,
        name=job.name,
        bundle=job.bundle,
        bundle_bytes=job.bundle_bytes,
        blend=job.blend,
        frames=job.asked,
        settings=job.settings,
        price_per_wu_micro=job.price_per_wu_micro,
        limits=job.limits,
        allows=job.allows,
        lenders=job.lenders,
        order=job.order,
    )
    if job.wishes == NO_WISHES:
        return [event]
    started = JobControlled(job=id, account=job.account, revision=1, action=Action.RESUME, by=job.account, wishes=job.wanted)
    return [event, started]


def accepted(id: str, job: Job, version: int, key: str, now: datetime) -> tuple[Job, Sequence[Event]]:
    """Accepting again tells nobody, unless the money was refused since and this is a new request."""
    said = job.answer
    if said is not None and said.version == version and said.accepted:
        refused = job.refusal is not None and job.refusal.version == version
        if said.key == key or not refused:
            return job, []
    _still_open(job, version, now)
    changed = replace(job, answer=Answer(version, True, key), refusal=None)
    most = job.limits.max_cost or NO_LIMIT
    return changed, [QuoteAccepted(job=id, account=job.account, version=version, max_cost=most)]


def declined(id: str, job: Job, version: int, key: str, now: datetime) -> tuple[Job, Sequence[Event]]:
    said = job.answer
    if said is not None and said.version == version and not said.accepted:
        return job, []
    if said is not None and said.version == version and job.held_version == version:
        raise _conflict("quote-accepted", "This quote was accepted and its price is held.", "Cancel the job instead.")
    _still_open(job, version, now)
    return replace(job, answer=Answer(version, False, key)), [QuoteDeclined(job=id, account=job.account, version=version)]


def controlled(id: str, job: Job, action: Action, by: str) -> tuple[Job, Sequence[Event]]:
    """Steering twice the same way tells once. Raises Refused when the job is over."""
    if job.state == PACKAGING:
        check_open(job)  # also of an order that was given before: it came too late
    if job.control is action or (job.control is None and action is Action.RESUME):
        return job, []
    check_open(job)
    revision = job.control_revision + 1
    event = JobControlled(job=id, account=job.account, revision=revision, action=action, by=by, wishes=job.wanted)
    return replace(job, control=action, control_revision=revision), [event]


def check_open(job: Job) -> None:
    """Raises Refused for a job that cannot be changed any more: the scheduler would not hear of it."""
    if job.state == PACKAGING:
        text = "Every frame of the job is rendered and paid for; its archive and film are being made. Nothing is left to change."
        raise _conflict("job-rendered", text, "Wait a moment, and download what you need.")
    if job.state in ENDED or job.control is Action.CANCEL or job.settlement is not None:
        now = job.state if job.state in ENDED else "being cancelled" if job.control is Action.CANCEL else "over and settled"
        raise _conflict("job-ended", f"The job is {now}; it cannot be changed any more.", "Submit a new job for these frames.")


def _still_open(job: Job, version: int, now: datetime) -> None:
    quote = job.quote
    if quote is None:
        raise _conflict("not-quoted", f"The job has no quote yet; it is {job.state}.", "Wait until it is quoted.")
    if version != quote.version:
        text = f"The open quote is version {quote.version}, not {version}."
        raise _conflict("another-quote", text, "Look at the present quote and answer that.")
    if job.state in ENDED or job.control is Action.CANCEL:
        raise _conflict("job-ended", f"The job is {job.state}; its quote cannot be answered.", "Submit a new job.")
    if job.answer is not None and job.answer.version == version and not job.answer.accepted:
        raise _conflict("quote-declined", "This quote was declined.", "Submit a new job.")
    if job.expired_version >= version or now >= quote.expires_at:
        raise _expired(version)
    if not job.affords(quote):
        most = credit_text(job.limits.max_cost or 0)
        text = f"The price of {credit_text(quote.price_micro)} credits is above the job's max_cost of {most}."
        raise _conflict("above-max-cost", text, "Raise it with `framelend job set`, or submit fewer frames.")


def _expired(version: int) -> Refused:
    text = "The quote has expired; nothing but sampling was charged."
    if version > 1:
        text = "The new price has expired: the job ends, and its finished frames are yours at the old one."
    return _conflict("quote-expired", text, "Submit the job again.")


def _conflict(code: str, text: str, advice: str) -> Refused:
    return Refused(Why.CONFLICT, code, text, advice)
