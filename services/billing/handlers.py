"""What billing hears: one function per event. Domain faults become verdicts here and nowhere else."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from contracts.events import (
    AccountOpened,
    AgentEnrolled,
    CopiesHonoured,
    CreditsOrdered,
    FramesSealed,
    FramesStored,
    JobEstimated,
    JobSubmitted,
    QuoteAccepted,
    QuoteDeclined,
    SamplingMeasured,
)
from contracts.topology import BILLING
from services.billing.domain import charging, holding, settling
from services.billing.domain.faults import TooEarly, Untrue
from services.billing.domain.ledger import issue
from services.billing.domain.pricing import PriceBook, Tariff, planned
from services.billing.repository.accounts import Accounts
from services.billing.repository.books import Books
from services.billing.repository.deliveries import Deliveries
from services.billing.repository.frozen import Owners, Tariffs
from services.chassis.delivery import Received
from services.chassis.inbox import Inboxes
from services.chassis.verdicts import NotYet, SenderFault

log = structlog.get_logger()
FRAMES_TOGETHER = 200


@dataclass(frozen=True)
class Desk:
    """What the handlers work with."""

    books: Books
    accounts: Accounts
    owners: Owners
    tariffs: Tariffs
    book: PriceBook


def routes(desk: Desk) -> Inboxes:
    inboxes = Inboxes(BILLING)
    _people(inboxes, desk)
    _quotes(inboxes, desk)
    _frames(inboxes, desk)
    return inboxes


def _people(inboxes: Inboxes, desk: Desk) -> None:
    @inboxes.on(AccountOpened)
    async def on_account_opened(event: AccountOpened) -> None:
        await desk.accounts.open(event.account)

    @inboxes.on(AgentEnrolled)
    async def on_agent_enrolled(event: AgentEnrolled) -> None:
        await desk.owners.enrol(event.agent, event.owner)

    @inboxes.on(CreditsOrdered)
    async def on_credits_ordered(event: CreditsOrdered) -> None:
        if not await desk.accounts.is_open(event.account):
            raise NotYet(f"account {event.account} is not open")
        issued = await desk.books.post([issue(event.order, event.account, event.amount_micro)])
        log.info("credits issued", account=event.account, order=event.order, again=not issued)


def _quotes(inboxes: Inboxes, desk: Desk) -> None:
    books = desk.books

    @inboxes.on(JobSubmitted)
    async def on_job_submitted(event: JobSubmitted) -> None:
        await books.begin(event)
        job = await books.decide(event.job, lambda job, available, _: holding.deposited(job, available, desk.book))
        log.info("deposit decided", job=job.job, account=job.account, stage=job.stage, deposit_micro=job.deposit_micro)

    @inboxes.on(SamplingMeasured)
    async def on_sampling_measured(event: SamplingMeasured) -> None:
        owners = await desk.owners.all(work.agent for work in event.work)
        tariff = await _newest_tariff(desk, event.job)
        with judged():
            job = await books.decide(event.job, lambda job, _, __: charging.sampled(job, event.work, owners, tariff))
        await books.settle(job)

    @inboxes.on(JobEstimated)
    async def on_job_estimated(event: JobEstimated) -> None:
        bid = event.price_per_wu_micro or (await books.job(event.job)).price_per_wu_micro
        tariff = await desk.tariffs.freeze(event.job, event.version, Tariff(event.curve, event.frames, bid))
        plan = await asyncio.to_thread(planned, [*await _earlier(desk, event), tariff])
        with judged():
            job = await books.decide(event.job, lambda job, _, now: holding.quoted(job, event, plan, desk.book, now))
        log.info("quoted", job=job.job, account=job.account, price_micro=job.offer.price_micro if job.offer else 0)

    @inboxes.on(QuoteAccepted)
    async def on_quote_accepted(event: QuoteAccepted) -> None:
        account, version, most = event.account, event.version, event.max_cost
        with judged():
            job = await books.decide(event.job, lambda job, free, now: holding.accepted(job, account, version, free, now, most))
        log.info("acceptance decided", job=job.job, account=account, stage=job.stage, held_micro=job.held_micro)

    @inboxes.on(QuoteDeclined)
    async def on_quote_declined(event: QuoteDeclined) -> None:
        with judged():
            await books.decide(event.job, lambda job, _, __: holding.declined(job, event.account, event.version))


def _frames(inboxes: Inboxes, desk: Desk) -> None:
    books, deliveries = desk.books, Deliveries(desk.books, desk.owners, desk.tariffs)

    @inboxes.in_batches(FramesStored, most=FRAMES_TOGETHER)
    async def on_frames_stored(batch: list[Received[FramesStored]]) -> list[BaseException | None]:
        outcomes, jobs = await deliveries.charge(batch)
        for job in jobs:
            await books.settle(job)
        return [judgement(outcome) for outcome in outcomes]

    @inboxes.on(FramesSealed)
    async def on_frames_sealed(event: FramesSealed) -> None:
        with judged():
            job = await books.decide(event.job, lambda job, _, __: settling.sealed(job, event))
        await books.settle(job)

    @inboxes.on(CopiesHonoured)
    async def on_copies_honoured(event: CopiesHonoured) -> None:
        owner = (await desk.owners.all([event.agent]))[event.agent]
        tariff = await desk.tariffs.get(event.job, event.version)
        if tariff is None:
            raise NotYet(f"job {event.job} has no version {event.version}")
        await books.post(charging.honoured(event, owner, tariff, desk.book))


async def _earlier(desk: Desk, event: JobEstimated) -> list[Tariff]:
    """Of the versions before this one, which were all accepted. Raises NotYet when one of them has not been heard of."""
    keys = [(event.job, version) for version in range(1, event.version)]
    found = await desk.tariffs.read_many(keys)
    if len(found) < len(keys):
        raise NotYet(f"job {event.job}: a version before {event.version} is not known")
    return [found[key] for key in keys]


async def _newest_tariff(desk: Desk, id: str) -> Tariff | None:
    offer = (await desk.books.job(id)).offer
    return await desk.tariffs.get(id, offer.version) if offer else None


def judgement(problem: BaseException | None) -> BaseException | None:
    """A domain fault as the chassis judges it."""
    if isinstance(problem, TooEarly):
        return NotYet(str(problem))
    return SenderFault(str(problem)) if isinstance(problem, Untrue) else problem


@contextmanager
def judged() -> Iterator[None]:
    try:
        yield
    except (TooEarly, Untrue) as problem:
        raise judgement(problem) or problem from problem
