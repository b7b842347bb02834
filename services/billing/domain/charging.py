"""Charges: sampling by measured work from the deposit, frames by the firm price of the version stamped into their attempt.

Theory. A stored frame is on the ledger exactly once and unreversed: as CHARGE when it was rendered under a quote, as COVERED when
a sampling attempt gave it, whose own charge pays for it. Keys make a fact told twice one posting; `already` tells what the ledger
holds for the frames in question, and a newer generation undoes the older one first; that may happen after settlement too, since a
seal names frames and not generations, and costs the renter nothing: the same price goes from one lender to the other.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from contracts.events import CopiesHonoured, SampledWork
from contracts.values import Kind, count
from contracts.work import price
from services.billing.domain import ledger
from services.billing.domain.faults import Breach, TooEarly, Untrue
from services.billing.domain.job import Job, OfferState, Outcome, Stage
from services.billing.domain.ledger import Leg, Posting, PostingKind
from services.billing.domain.pricing import PriceBook, Tariff

ON_FRAMES = (PostingKind.CHARGE, PostingKind.COVERED)
"""Kinds that put a stored frame on the ledger."""


@dataclass(frozen=True)
class Delivery:
    """Stored frames of one attempt, and who owns its agent."""

    attempt: str
    agent: str
    owner: str
    kind: Kind
    generation: int
    version: int
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Standing:
    """The unreversed posting of a frame, and whether its earning has become payable."""

    posting: Posting
    matured: bool = False


def stored(job: Job, delivery: Delivery, tariff: Tariff | None, already: Mapping[int, Standing]) -> Outcome:
    """Charge what is new in this delivery; `tariff` is that of its version. The caller says JobCharged once per batch.

    Raises TooEarly while the version is not accepted, Untrue for frames after settlement, Breach when the hold cannot cover it.
    """
    new = [frame for frame in dict.fromkeys(delivery.frames) if _is_new(already.get(frame), delivery.generation)]
    if not new:
        return Outcome(job)
    if job.stage is Stage.SETTLED and not already.keys() >= set(new):
        raise Untrue(f"job {job.job} is settled; not all of {new} are in its seal")
    undone = [already[frame] for frame in new if frame in already]
    done = _covered(job, delivery, new) if delivery.kind is Kind.SAMPLE else _charged(job, delivery, tariff, new)
    return _booked(job, delivery, undone, done)


def standing(postings: Iterable[Posting], due: Collection[str]) -> dict[int, Standing]:
    """Frame → its unreversed posting, among postings of one job; `due` are the keys whose audit window is open."""
    found = list(postings)
    undone = {posting.reverses for posting in found}
    return {
        posting.frame: Standing(posting, matured=posting.key not in due)
        for posting in found
        if posting.frame is not None and posting.kind in ON_FRAMES and posting.key not in undone
    }


def _is_new(standing: Standing | None, generation: int) -> bool:
    return standing is None or generation > (standing.posting.generation or 0)


def _charged(job: Job, delivery: Delivery, tariff: Tariff | None, new: Iterable[int]) -> list[Posting]:
    if delivery.kind is not Kind.RENDER:
        raise Untrue(f"frames of kind {delivery.kind} cannot be stored")
    if tariff is None or not 1 <= delivery.version <= job.accepted_version:
        raise TooEarly(f"job {job.job}: version {delivery.version} is not accepted")
    source, target = ledger.held(job.account), ledger.pending(delivery.owner)
    return [_frame(job, delivery, frame, *tariff.cost(frame), source, target) for frame in new]


def _frame(job: Job, delivery: Delivery, frame: int, micro_wu: int, amount: int, source: str, target: str) -> Posting:
    return Posting(
        key=ledger.frame_key(job.job, frame, delivery.generation),
        kind=PostingKind.CHARGE,
        legs=(Leg(source, -amount), Leg(target, amount)) if amount else (),
        job=job.job,
        frame=frame,
        generation=delivery.generation,
        attempt=delivery.attempt,
        agent=delivery.agent,
        owner=delivery.owner,
        version=delivery.version,
        micro_wu=micro_wu,
    )


def _covered(job: Job, delivery: Delivery, new: Iterable[int]) -> list[Posting]:
    return [
        Posting(
            key=ledger.frame_key(job.job, frame, delivery.generation),
            kind=PostingKind.COVERED,
            legs=(),
            job=job.job,
            frame=frame,
            generation=delivery.generation,
            attempt=delivery.attempt,
            agent=delivery.agent,
            owner=delivery.owner,
            version=delivery.version,
        )
        for frame in new
    ]


def _booked(job: Job, delivery: Delivery, undone: list[Standing], done: list[Posting]) -> Outcome:
    postings = (*map(reversal, undone), *done)
    amount = sum(posting.earned_micro for posting in postings)
    if amount > job.room_micro:
        raise Breach(f"job {job.job}: charging {amount} of attempt {delivery.attempt} with {job.room_micro} left of its hold")
    rendered = _rendered(done) - _rendered(standing.posting for standing in undone)
    late = delivery.kind is Kind.SAMPLE and delivery.attempt not in (*job.measured, *job.awaited)
    after = replace(
        job,
        charged_micro=job.charged_micro + amount,
        rendering_micro=job.rendering_micro + amount,
        rendered=job.rendered + rendered,
        frames=job.frames + len(done) - len(undone),
        awaited=(*job.awaited, delivery.attempt) if late else job.awaited,
        agents=job.credited(postings),
        revision=job.revision + 1,
    )
    return Outcome(after, postings)


def _rendered(postings: Iterable[Posting]) -> int:
    return sum(posting.kind is PostingKind.CHARGE for posting in postings)


def reversal(standing: Standing) -> Posting:
    """Undo a frame's posting: the same legs the other way, out of payable when the earning has matured."""
    charge = standing.posting
    owner = str(charge.owner)
    swap = {ledger.pending(owner): ledger.payable(owner)} if standing.matured else {}
    legs = tuple(Leg(swap.get(leg.account, leg.account), -leg.amount_micro) for leg in charge.legs)
    return replace(charge, key=f"reverse:{charge.key}", kind=PostingKind.REVERSE, legs=legs, reverses=charge.key)


def sampled(job: Job, works: Iterable[SampledWork], owners: Mapping[str, str], tariff: Tariff | None) -> Outcome:
    """One charge per attempt at book price; all of them together never more than the deposit.

    Once a price is firm the renter pays no more for sampling than its line says, plus the price of quoted frames that late
    samples gave. The rest, and what is told after settlement, the farm gives itself: the lender worked in good faith.
    """
    if job.stage is Stage.SUBMITTED:
        raise TooEarly(f"job {job.job}: no deposit yet")
    before, postings = job, []
    for work in works:
        if work.attempt not in job.measured:
            job, posting = _measured(job, work, owners[work.agent], tariff)
            postings.append(posting)
    if not postings:
        return Outcome(before)
    job = replace(job, agents=job.credited(postings), revision=job.revision + 1)
    return Outcome(job, tuple(postings), (job.charged(),) if job.stage is not Stage.SETTLED else ())


def honoured(event: CopiesHonoured, owner: str, tariff: Tariff, book: PriceBook) -> list[Posting]:
    """Good pictures that came second, by an agent of this owner; `tariff` is that of their version."""
    about = (event.job, event.agent, owner, event.version)
    return [ledger.duplicate(event.attempt, frame, *about, tariff.second(frame, book)) for frame in event.frames]


def _measured(job: Job, work: SampledWork, owner: str, tariff: Tariff | None) -> tuple[Job, Posting]:
    freed = tariff.freed(work.frames) if tariff is not None and work.frames else 0
    job = replace(job, freed_micro=job.freed_micro + freed)
    left = job.deposit_micro - job.sampling_micro - job.given_micro
    amount = max(0, min(price(work.micro_wu, job.book_price_micro), left))
    renters = max(0, min(amount, _sampling_cap(job) - job.sampling_micro, job.room_micro))
    moves = {
        ledger.held(job.account): -renters,
        ledger.LOSS: renters - amount,
        ledger.pending(owner): amount,
    }
    posting = Posting(
        key=ledger.sampling_key(job.job, work.kind, work.attempt),
        kind=PostingKind.SAMPLING,
        legs=ledger.legs(moves),
        job=job.job,
        attempt=work.attempt,
        agent=work.agent,
        owner=owner,
        micro_wu=work.micro_wu,
    )
    after = replace(
        job,
        charged_micro=job.charged_micro + renters,
        sampling_micro=job.sampling_micro + renters,
        given_micro=job.given_micro + amount - renters,
        sampled_frames=job.sampled_frames + count(work.frames),
        measured=(*job.measured, work.attempt),
        awaited=tuple(attempt for attempt in job.awaited if attempt != work.attempt),
    )
    return after, posting


def _sampling_cap(job: Job) -> int:
    """The most the renter pays for sampling."""
    if job.stage is Stage.SETTLED:
        return 0
    is_void = job.offer is None or job.offer.state in (OfferState.DECLINED, OfferState.EXPIRED)
    if job.offer is None or (is_void and job.stage is not Stage.HELD):
        return job.deposit_micro
    return job.offer.sampling_micro + job.freed_micro
