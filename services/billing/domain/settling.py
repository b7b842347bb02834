"""The end of a job's money: settle when the ledger has exactly the frames of the seal, give back the rest, write the invoice."""

from collections.abc import Set
from dataclasses import replace

from contracts.events import FramesSealed, JobSettled
from contracts.values import PriceLine, count, frames
from services.billing.domain import ledger, pricing
from services.billing.domain.faults import Breach, TooEarly, Untrue
from services.billing.domain.job import Job, OfferState, Outcome, Seal, Stage
from services.billing.domain.ledger import Posting, PostingKind
from services.billing.domain.pricing import Work


def sealed(job: Job, event: FramesSealed) -> Outcome:
    """Remember the seal; an open quote is over with it."""
    if event.account != job.account:
        raise Untrue(f"job {job.job} is not of account {event.account}")
    if count(event.frames) != event.count:
        raise Untrue(f"the seal of job {job.job} names {count(event.frames)} frames and counts {event.count}")
    if job.stage is Stage.SUBMITTED:
        raise TooEarly(f"job {job.job}: the deposit is not decided")
    if job.seal is not None:
        return Outcome(job)
    offer = job.offer
    if offer is not None and offer.state is OfferState.OPEN:
        offer = offer.to(OfferState.EXPIRED)
    return Outcome(replace(job, offer=offer, seal=Seal(event.outcome, event.frames, event.count)))


def may_settle(job: Job) -> bool:
    """By the counts alone; the frames themselves are compared in `settled`."""
    return job.seal is not None and job.stage is not Stage.SETTLED and job.frames == job.seal.count and not job.awaited


def settled(job: Job, charged: Set[int]) -> Outcome:
    """Fees pro rata, release, invoice. `charged` are the frames with an unreversed posting on the ledger.

    Raises Breach when as many frames are charged as sealed, but other ones.
    """
    if not may_settle(job) or job.seal is None:
        return Outcome(job)
    if set(frames(job.seal.frames)) != charged:
        raise Breach(f"job {job.job}: the charged frames are not those of the seal")
    work = Work(job.sampling_micro, job.rendering_micro, job.rendered, job.frames)
    fixed = pricing.within(pricing.fixed_lines(job.terms, work), job.room_micro) if job.terms else ()
    final = replace(job.to(Stage.SETTLED), charged_micro=job.charged_micro + pricing.total(fixed), revision=job.revision + 1)
    told = JobSettled(
        job=job.job,
        account=job.account,
        outcome=job.seal.outcome,
        held_micro=final.held_micro,
        charged_micro=final.charged_micro,
        released_micro=final.room_micro,
        lines=pricing.invoice_lines(work, fixed),
        frames=job.seal.frames,
        agents=final.agents,
    )
    return Outcome(final, (*_fees(job, fixed), *_release(final)), (told,))


def _fees(job: Job, fixed: tuple[PriceLine, ...]) -> tuple[Posting, ...]:
    return tuple(
        Posting(
            f"{line.code}:{job.job}",
            PostingKind.FEE,
            ledger.legs({ledger.held(job.account): -line.amount_micro, ledger.FEE: line.amount_micro}),
            job=job.job,
        )
        for line in fixed
        if line.amount_micro
    )


def _release(job: Job) -> tuple[Posting, ...]:
    if not job.room_micro:
        return ()
    moves = {ledger.held(job.account): -job.room_micro, ledger.available(job.account): job.room_micro}
    return (Posting(f"release:{job.job}", PostingKind.RELEASE, ledger.legs(moves), job=job.job),)
