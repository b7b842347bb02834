"""The books in memory: the same decisions, saved by the same rule as the repository's transaction (all or nothing, a key once).

`Faulty…` are the positive controls: each breaks one rule, and the state machine must notice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from contracts.events import (
    CopiesHonoured,
    CreditsOrdered,
    Event,
    FramesSealed,
    FramesStored,
    JobEstimated,
    JobSubmitted,
    QuoteAccepted,
    QuoteDeclined,
    SamplingMeasured,
)
from services.billing.domain import charging, holding, ledger, settling
from services.billing.domain.charging import Delivery, Standing
from services.billing.domain.faults import TooEarly
from services.billing.domain.job import Job, Outcome
from services.billing.domain.ledger import Posting, PostingKind
from services.billing.domain.pricing import PriceBook, Tariff, planned


class Collision(Exception):
    """A decision wants a key that is on the ledger already."""


@dataclass
class Books:
    book: PriceBook
    now: datetime
    owners: dict[str, str]
    """Agent → owner, once enrolled."""
    jobs: dict[str, Job] = field(default_factory=dict)
    postings: dict[str, Posting] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)
    tariffs: dict[tuple[str, int], Tariff] = field(default_factory=dict)
    said: list[Event] = field(default_factory=list)

    # --- what the repository does

    def available(self, account: str) -> int:
        return ledger.balances(self.postings.values()).get(ledger.available(account), 0)

    def enter(self, outcome: Outcome) -> None:
        """One transaction."""
        if any(posting.key in self.postings for posting in outcome.postings):
            raise Collision(str(outcome.postings))
        self.jobs[outcome.job.job] = outcome.job
        self.post(outcome.postings)
        self.said += outcome.events

    def post(self, postings: Sequence[Posting]) -> None:
        for posting in postings:
            self.postings[posting.key] = posting
            if posting.kind in (PostingKind.CHARGE, PostingKind.SAMPLING, PostingKind.DUPLICATE) and posting.legs:
                self.due.add(posting.key)
            self.due -= {str(posting.reverses), posting.key.removeprefix("payable:")} if _closes(posting) else set()

    def decide(self, id: str, decide: Callable[[Job, int], Outcome]) -> None:
        job = self.known(id)
        self.enter(decide(job, self.available(job.account)))

    def known(self, id: str) -> Job:
        if id not in self.jobs:
            raise TooEarly(id)
        return self.jobs[id]

    def standing(self, job: str) -> dict[int, Standing]:
        return charging.standing((one for one in self.postings.values() if one.job == job), self.due)

    # --- what the handlers do

    def hear(self, event: Event) -> None:
        """Raises TooEarly for what must be told again."""
        getattr(self, f"_on_{type(event).__name__}")(event)
        for job in list(self.jobs.values()):
            self.settle(job)

    def settle(self, job: Job) -> None:
        if settling.may_settle(job):
            self.enter(settling.settled(job, frozenset(self.standing(job.job))))

    def sweep(self) -> None:
        for job in list(self.jobs.values()):
            self.enter(holding.expired(job, self.now))
        self.post([ledger.matured(self.postings[key]) for key in sorted(self.due)])

    def _on_CreditsOrdered(self, event: CreditsOrdered) -> None:
        posting = ledger.issue(event.order, event.account, event.amount_micro)
        if self.is_new(posting):
            self.post([posting])

    def is_new(self, posting: Posting) -> bool:
        return posting.key not in self.postings

    def _on_JobSubmitted(self, event: JobSubmitted) -> None:
        self.jobs.setdefault(event.job, Job.of(event))
        self.decide(event.job, lambda job, available: holding.deposited(job, available, self.book))

    def _on_SamplingMeasured(self, event: SamplingMeasured) -> None:
        offer = self.known(event.job).offer
        tariff = self.tariffs.get((event.job, offer.version)) if offer else None
        self.decide(event.job, lambda job, _: charging.sampled(job, event.work, self.owners, tariff))

    def _on_JobEstimated(self, event: JobEstimated) -> None:
        fresh = Tariff(event.curve, event.frames, self.known(event.job).price_per_wu_micro)
        tariff = self.tariffs.setdefault((event.job, event.version), fresh)
        versions = [self.tariffs.get((event.job, version)) for version in range(1, event.version)]
        if None in versions:
            raise TooEarly(f"a version before {event.version} is not known")
        plan = planned([*(one for one in versions if one is not None), tariff])
        self.decide(event.job, lambda job, _: holding.quoted(job, event, plan, self.book, self.now))

    def _on_QuoteAccepted(self, event: QuoteAccepted) -> None:
        self.decide(event.job, lambda job, free: holding.accepted(job, event.account, event.version, free, self.now))

    def _on_QuoteDeclined(self, event: QuoteDeclined) -> None:
        self.decide(event.job, lambda job, _: holding.declined(job, event.account, event.version))

    def _on_FramesStored(self, event: FramesStored) -> None:
        delivery = self.delivery(event)
        tariff = self.tariffs.get((event.job, event.version))
        self.decide(event.job, lambda job, _: charging.stored(job, delivery, tariff, self.standing(event.job)))

    def delivery(self, event: FramesStored) -> Delivery:
        frames = tuple(one.frame for one in event.frames)
        owner = self.owners[event.agent]
        return Delivery(event.attempt, event.agent, owner, event.kind, event.generation, event.version, frames)

    def _on_FramesSealed(self, event: FramesSealed) -> None:
        self.decide(event.job, lambda job, _: settling.sealed(job, event))

    def _on_CopiesHonoured(self, event: CopiesHonoured) -> None:
        tariff = self.tariffs.get((event.job, event.version))
        if tariff is None:
            raise TooEarly(event.job)
        postings = charging.honoured(event, self.owners[event.agent], tariff, self.book)
        self.post([posting for posting in postings if self.is_new(posting)])


def _closes(posting: Posting) -> bool:
    return posting.reverses is not None or posting.kind is PostingKind.PAYABLE


class FaultyWithoutKeys(Books):
    """Every telling is a new posting: no key is ever found on the ledger."""

    def enter(self, outcome: Outcome) -> None:
        fresh = tuple(replace(one, key=f"{one.key}#{len(self.postings)}-{at}") for at, one in enumerate(outcome.postings))
        super().enter(replace(outcome, postings=fresh))

    def standing(self, job: str) -> dict[int, Standing]:
        return {} if self.jobs[job].seal is None else super().standing(job)


class FaultyIssue(Books):
    """Credits are issued as often as they are ordered."""

    def post(self, postings: Sequence[Posting]) -> None:
        super().post(
            [replace(one, key=f"{one.key}#{len(self.postings)}") if one.kind is PostingKind.ISSUE else one for one in postings]
        )

    def is_new(self, posting: Posting) -> bool:
        return True


class FaultyBlindHold(Books):
    """Holds whatever the account has."""

    def available(self, account: str) -> int:
        return 10**15


class FaultyGenerations(Books):
    """A frame rendered again after a rejection is charged beside its rejected one."""

    def standing(self, job: str) -> dict[int, Standing]:
        found = super().standing(job)
        return found if self.jobs[job].seal else {f: s for f, s in found.items() if s.posting.generation == self._generation}

    def delivery(self, event: FramesStored) -> Delivery:
        self._generation = event.generation
        return super().delivery(event)


class FaultyForgetfulCrash(Books):
    """Postings are saved and then the job, so a crash between them forgets the sums."""

    def enter(self, outcome: Outcome) -> None:
        if outcome.postings and outcome.postings[0].kind is PostingKind.CHARGE and len(outcome.postings) > 1:
            self.post(outcome.postings)
            return
        super().enter(outcome)
