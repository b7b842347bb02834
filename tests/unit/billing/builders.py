"""Facts and values of billing with everything unimportant filled in."""

from contracts.events import FramesSealed, JobEstimated, JobSubmitted, SampledWork
from contracts.values import MICRO, Band, Curve, FrameRange, Kind, Knot, Limits, ranges
from services.billing.domain.charging import Delivery
from services.billing.domain.pricing import PriceBook, Tariff


def a_book(**changes: int) -> PriceBook:
    numbers = {
        "version": 1,
        "price_per_wu_micro": 10_000,
        "deposit_micro_wu": 100 * MICRO,
        "max_deposit_micro": MICRO,
        "fee_ppm": 100_000,
        "keeping_micro": 500,
        "transfer_micro": 500,
        "quote_seconds": 3_600,
    }
    return PriceBook(**{**numbers, **changes})


def a_submission(job: str = "j1", account: str = "ada", bid: int = 20_000, max_cost: int | None = None) -> JobSubmitted:
    return JobSubmitted(
        job=job,
        account=account,
        name="film",
        bundle="0" * 64,
        bundle_bytes=1,
        blend="film.blend",
        price_per_wu_micro=bid,
        limits=Limits(max_cost=max_cost),
    )


def a_curve(*micro_wu: int, first: int = 1, step: int = 5) -> Curve:
    knots = tuple(Knot(frame=first + at * step, micro_wu=one) for at, one in enumerate(micro_wu or (3 * MICRO, 4 * MICRO)))
    return Curve(knots=knots)


def a_tariff(first: int = 2, last: int = 9, bid: int = 20_000) -> Tariff:
    return Tariff(a_curve(), (FrameRange(first=first, last=last),), bid)


def an_estimate(job: str = "j1", account: str = "ada", version: int = 1, tariff: Tariff | None = None) -> JobEstimated:
    band = Band(low=1, expected=2, high=3)
    tariff = tariff or a_tariff()
    return JobEstimated(
        job=job, account=account, version=version, curve=tariff.curve, frames=tariff.frames, micro_wu=band, seconds=band
    )


def a_work(attempt: str = "s1", kind: Kind = Kind.SAMPLE, micro_wu: int = 3 * MICRO, frames: tuple[int, ...] = ()) -> SampledWork:
    return SampledWork(attempt=attempt, agent="box", kind=kind, frames=ranges(frames), micro_wu=micro_wu)


def a_delivery(
    *frames: int, kind: Kind = Kind.RENDER, attempt: str = "a1", generation: int = 0, version: int = 1, owner: str = "lars"
) -> Delivery:
    return Delivery(attempt, "box", owner, kind, generation, version if kind is Kind.RENDER else 0, frames)


def a_seal(*frames: int, job: str = "j1", account: str = "ada", outcome: str = "completed") -> FramesSealed:
    return FramesSealed(job=job, account=account, outcome=outcome, frames=ranges(frames), count=len(frames))
