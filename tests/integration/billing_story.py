"""One renter's job as billing hears of it, from submission to settlement; shared by tests of the money path."""

from dataclasses import dataclass, field
from typing import Any

from contracts.bus import new_id
from contracts.events import (
    AccountOpened,
    AgentEnrolled,
    BalanceChanged,
    CreditsHeld,
    CreditsOrdered,
    DepositHeld,
    FramesSealed,
    FramesStored,
    JobEstimated,
    JobQuoted,
    JobSubmitted,
    QuoteAccepted,
    SampledWork,
    SamplingMeasured,
    StoredFrame,
)
from contracts.topology import INTAKE, SCHEDULER
from contracts.values import MICRO, Band, Curve, FrameRange, Kind, Knot, Limits, ranges
from tests.integration.world import World

HASH = "0" * 64
BID = 20_000
"""Micro-credits per WU."""


@dataclass
class Story:
    """One renter's job from submission to settlement, told event by event."""

    world: World
    renter: str = field(default_factory=lambda: f"renter-{new_id()[-12:]}")
    lender: str = field(default_factory=lambda: f"lender-{new_id()[-12:]}")
    agent: str = field(default_factory=lambda: f"agent-{new_id()[-12:]}")
    job: str = field(default_factory=new_id)

    async def opened(self, credits: int = 100) -> "Story":
        await self.world.say(
            INTAKE,
            AccountOpened(account=self.renter, email="r@example.org"),
            AccountOpened(account=self.lender, email="l@example.org"),
            *([an_order(self.renter, credits)] if credits else []),
        )
        await self.world.say(SCHEDULER, AgentEnrolled(agent=self.agent, owner=self.lender, name="box"))
        if credits:
            await self.world.hear(BalanceChanged, account=self.renter, available_micro=credits * MICRO)
        return self

    def submitted(self, **limits: Any) -> JobSubmitted:
        return JobSubmitted(
            job=self.job,
            account=self.renter,
            name="film",
            bundle=HASH,
            bundle_bytes=1,
            blend="film.blend",
            price_per_wu_micro=BID,
            limits=Limits(**limits),
        )

    def measured(self) -> SamplingMeasured:
        """An inspection of 2 WU, two samples of 3 and 4 WU."""
        works = [("inspect", 2, ()), ("sample", 3, ranges([1])), ("sample", 4, ranges([10]))]
        return SamplingMeasured(
            job=self.job,
            work=tuple(
                SampledWork(attempt=f"{self.job}-s{at}", agent=self.agent, kind=kind, frames=frames, micro_wu=wu * MICRO)
                for at, (kind, wu, frames) in enumerate(works)
            ),
        )

    def estimated(self, version: int = 1) -> JobEstimated:
        """Frames 2 to 9; the curve rises from 3 to 4 WU."""
        band = Band(low=1, expected=2, high=3)
        curve = Curve(knots=(Knot(frame=1, micro_wu=3 * MICRO), Knot(frame=10, micro_wu=4 * MICRO)))
        frames = (FrameRange(first=2, last=9),)
        return JobEstimated(
            job=self.job, account=self.renter, version=version, curve=curve, frames=frames, micro_wu=band, seconds=band
        )

    def stored(self, *frames: int, kind: Kind = Kind.RENDER, attempt: str = "", generation: int = 0) -> FramesStored:
        return FramesStored(
            job=self.job,
            chunk=f"{self.job}-c",
            attempt=attempt or f"{self.job}-a",
            agent=self.agent,
            kind=kind,
            generation=generation,
            version=1 if kind is Kind.RENDER else 0,
            frames=tuple(a_frame(frame) for frame in frames),
        )

    def samples(self) -> list[FramesStored]:
        pairs = ((1, "s1"), (10, "s2"))
        return [self.stored(frame, kind=Kind.SAMPLE, attempt=f"{self.job}-{name}") for frame, name in pairs]

    def sealed(self, *frames: int, outcome: str = "completed") -> FramesSealed:
        return FramesSealed(job=self.job, account=self.renter, outcome=outcome, frames=ranges(frames), count=len(frames))

    def accepted(self) -> QuoteAccepted:
        return QuoteAccepted(job=self.job, account=self.renter, version=1)

    async def quoted(self, **limits: Any) -> JobQuoted:
        await self.world.say(INTAKE, self.submitted(**limits))
        await self.world.hear(DepositHeld, job=self.job)
        await self.world.say(SCHEDULER, self.measured(), self.estimated())
        return await self.world.hear(JobQuoted, job=self.job)

    async def held(self) -> CreditsHeld:
        await self.quoted()
        await self.world.say(INTAKE, self.accepted())
        return await self.world.hear(CreditsHeld, job=self.job)


def an_order(account: str, credits: int) -> CreditsOrdered:
    return CreditsOrdered(order=new_id(), account=account, amount_micro=credits * MICRO, by="operator")


def a_frame(frame: int) -> StoredFrame:
    return StoredFrame(frame=frame, file_sha256=HASH, pixel_sha256=HASH, bytes=1, cpu_micros=1, key=f"k/{frame}")


def curve_cost(frame: int) -> int:
    """Micro-credits of one frame of `estimated`."""
    return (3 * MICRO * (10 - frame) + 4 * MICRO * (frame - 1)) // 9 * BID // MICRO


RENDERING = sum(curve_cost(frame) for frame in range(2, 10))
SAMPLING = 9 * 10_000
FEE = RENDERING // 10
FIXED = FEE + 10 * 1_000


DEARER = RENDERING - 62_222 + 15 * MICRO
"""Rendering, when frame 2 costs 15 credits and the others what they did."""
DEAR = SAMPLING + DEARER + DEARER // 10 + 10 * 1_000
"""Price of that job."""


async def raised(world: World, story: Story) -> JobQuoted:
    """A second quote, for one dear frame."""
    band = Band(low=1, expected=2, high=3)
    curve, frames = Curve(knots=(Knot(frame=2, micro_wu=15 * MICRO * MICRO // BID),)), ranges([2])
    await world.say(
        SCHEDULER,
        JobEstimated(job=story.job, account=story.renter, version=2, curve=curve, frames=frames, micro_wu=band, seconds=band),
    )
    quote = await world.hear(JobQuoted, job=story.job, version=2)
    assert quote.price_micro == DEAR
    return quote
