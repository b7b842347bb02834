"""Deposits, quotes and holds: what a renter's credits are set aside for, before anything is charged.

A quote over the renter's own `max_cost` is still shown, so that he sees by how much; accepting it is refused with words. The
deposit does not ask for it: sampling comes before any price.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from contracts.events import (
    CreditsHeld,
    DepositHeld,
    Event,
    HoldRefused,
    JobEstimated,
    JobQuoted,
    QuoteExpired,
)
from services.billing.domain import ledger, pricing
from services.billing.domain.faults import TooEarly, Untrue
from services.billing.domain.job import Job, Offer, OfferState, Outcome, Stage
from services.billing.domain.ledger import Posting, PostingKind
from services.billing.domain.pricing import Plan, PriceBook, Work, credits, credits_up


def deposited(job: Job, available: int, book: PriceBook) -> Outcome:
    """Hold the sampling deposit, or refuse the job. Decided once."""
    if job.stage is not Stage.SUBMITTED:
        return Outcome(job)
    amount, micro_wu = pricing.deposit(book)
    if amount > available:
        text = f"The deposit for inspection and sampling is {credits(amount)} credits and {credits(available)} are available: "
        text += f"top up {credits_up(amount - available)} credits and submit the job again."
        return Outcome(job.to(Stage.REFUSED), events=(_refusal(job, 0, amount, available, text),))
    after = replace(job.to(Stage.DEPOSITED), deposit_micro=amount, held_micro=amount, book_price_micro=book.price_per_wu_micro)
    told = DepositHeld(job=job.job, account=job.account, amount_micro=amount, micro_wu_limit=micro_wu)
    return Outcome(after, (_hold(job, 0, amount),), (told,))


def quoted(job: Job, event: JobEstimated, plan: Plan, book: PriceBook, now: datetime) -> Outcome:
    """Make the firm price of this version. Raises TooEarly until sampling is measured: its cost is part of the price."""
    _check(job, event.account)
    if job.over or (job.offer is not None and event.version <= job.offer.version):
        return Outcome(job)
    if job.stage is Stage.SUBMITTED or not job.measured:
        raise TooEarly(f"job {job.job}: sampling is not measured")
    if job.offer is not None and job.offer.state is OfferState.OPEN:
        job = replace(job, offer=job.offer.to(OfferState.EXPIRED))
    job = replace(job, price_per_wu_micro=event.price_per_wu_micro or job.price_per_wu_micro)
    offer = _offer(job, event, plan, book, now)
    is_further = event.version > 1
    told = JobQuoted(
        job=job.job,
        account=job.account,
        version=offer.version,
        price_micro=offer.price_micro,
        lines=offer.lines,
        micro_wu=event.micro_wu,
        seconds=event.seconds,
        outlook=event.outlook,
        expires_at=offer.expires_at,
        within_max_cost=offer.within_max_cost,
        reason=event.reason,
        left_frames=plan.left if is_further else None,
        left_micro=min(plan.left_micro, pricing.MOST) if is_further else None,
        left_before_micro=min(plan.before_micro, pricing.MOST) if is_further else None,
    )
    return Outcome(replace(job, offer=offer, freed_micro=0), events=(told,))


def _offer(job: Job, event: JobEstimated, plan: Plan, book: PriceBook, now: datetime) -> Offer:
    """The whole job's price: frames given out under an earlier version keep the earlier price."""
    work = Work(
        sampling_micro=job.sampling_micro,
        rendering_micro=plan.rendering_micro,
        rendered=plan.frames,
        stored=plan.frames + job.sampled_frames,
    )
    lines = pricing.quote_lines(book.terms, work, job.price_per_wu_micro)
    whole = pricing.total(lines)
    most = pricing.MOST if job.max_cost is None else job.max_cost
    lines = pricing.within(lines, pricing.MOST)
    return Offer(
        version=event.version,
        state=OfferState.OPEN,
        price_micro=pricing.total(lines),
        sampling_micro=job.sampling_micro,
        lines=lines,
        terms=book.terms,
        expires_at=now + timedelta(seconds=book.quote_seconds),
        within_max_cost=whole <= most and whole < pricing.MOST,
    )


def accepted(job: Job, account: str, version: int, available: int, now: datetime, max_cost: int | None = None) -> Outcome:
    """Hold the whole price (the deposit is folded in), or refuse and leave the quote open. `max_cost`: the renter's limit as it
    stands when he accepts, where it is not the one he submitted."""
    _check(job, account)
    if job.over:
        return Outcome(job)
    if job.offer is None or version > job.offer.version:
        raise TooEarly(f"job {job.job}: quote {version} is not made")
    if version < job.offer.version or job.offer.state is OfferState.ACCEPTED:
        return Outcome(job)
    expiry = expired(_limited(job, job.offer, max_cost), now)
    offer = expiry.job.offer
    assert offer is not None
    more = offer.price_micro - job.held_micro
    why = _why_not(expiry.job, offer, more, available)
    if why:
        return Outcome(expiry.job, events=(*expiry.events, _refusal(job, version, max(more, 0), available, why)))
    return _held(job, offer, more)


def _limited(job: Job, offer: Offer, max_cost: int | None) -> Job:
    if max_cost is None:
        return job
    fits = offer.price_micro <= max_cost and offer.price_micro < pricing.MOST
    return replace(job, max_cost=max_cost, offer=replace(offer, within_max_cost=fits))


def _why_not(job: Job, offer: Offer, more: int, available: int) -> str:
    """Words for the renter, or nothing when the hold can be made."""
    if offer.state in (OfferState.EXPIRED, OfferState.DECLINED) and job.stage is Stage.HELD:
        return "The new price was not accepted in time or was declined: the job ends, and the finished frames are yours."
    if offer.state is OfferState.EXPIRED:
        return "This quote expired before it was accepted: submit the job again for a new one."
    if offer.state is OfferState.DECLINED:
        return "This quote was declined: submit the job again for a new one."
    if not offer.within_max_cost:
        limit = credits(job.max_cost if job.max_cost is not None else pricing.MOST)
        raised = "set a higher limit (`framelend job set JOB --max-cost`) and accept once more"
        remedy = "decline, and submit the rest again with a higher limit" if job.stage is Stage.HELD else raised
        return f"The price of {credits(offer.price_micro)} credits is over the limit of {limit}: {remedy}."
    if more > available:
        top_up = credits_up(more - available)
        words = f"The price is {credits(offer.price_micro)} credits; {credits(job.held_micro)} are held already and "
        words += f"{credits(available)} available: top up {top_up} credits and accept again. "
        return words + f"The quote stays open until {offer.expires_at:%Y-%m-%d %H:%M} UTC."
    return ""


def _held(job: Job, offer: Offer, more: int) -> Outcome:
    after = replace(
        job.to(Stage.HELD),
        offer=offer.to(OfferState.ACCEPTED),
        held_micro=offer.price_micro,
        accepted_version=offer.version,
        terms=offer.terms,
    )
    told = CreditsHeld(job=job.job, account=job.account, version=offer.version, amount_micro=offer.price_micro)
    return Outcome(after, (_hold(job, offer.version, more),), (told,))


def declined(job: Job, account: str, version: int) -> Outcome:
    """The renter says no; the scheduler ends the job."""
    _check(job, account)
    if job.over:
        return Outcome(job)
    if job.offer is None or version > job.offer.version:
        raise TooEarly(f"job {job.job}: quote {version} is not made")
    if version < job.offer.version or job.offer.state is not OfferState.OPEN:
        return Outcome(job)
    return Outcome(replace(job, offer=job.offer.to(OfferState.DECLINED)))


def expired(job: Job, now: datetime) -> Outcome:
    """Nothing, unless an open quote's time is over."""
    offer = job.offer
    if job.over or offer is None or offer.state is not OfferState.OPEN or now < offer.expires_at:
        return Outcome(job)
    told = QuoteExpired(job=job.job, account=job.account, version=offer.version)
    return Outcome(replace(job, offer=offer.to(OfferState.EXPIRED)), events=(told,))


def _check(job: Job, account: str) -> None:
    if account != job.account:
        raise Untrue(f"job {job.job} is not of account {account}")


def _hold(job: Job, version: int, amount: int) -> Posting:
    moves = {ledger.available(job.account): -amount, ledger.held(job.account): amount}
    return Posting(ledger.hold_key(job.job, version), PostingKind.HOLD, ledger.legs(moves), job=job.job, version=version)


def _refusal(job: Job, version: int, needed: int, available: int, text: str) -> Event:
    return HoldRefused(
        job=job.job, account=job.account, version=version, needed_micro=needed, available_micro=available, text=text
    )
