"""Offers: what a lender who chooses by hand sees of a job before it is on his machine, and his yes or no.

He sees what rendering it would show him anyway, and no more: what the file is called and holds, what inspection found, what it
needs and pays, a small picture of a frame that is stored. Never the job's name, its renter's name, or a full frame.
"""

from collections.abc import Sequence
from typing import Annotated

import structlog
from fastapi import APIRouter
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field

from contracts.events import JobOffered
from contracts.values import MICRO, Finding, Id
from contracts.work import price
from services.intake.domain.credits import credit_text
from services.intake.domain.jobs import Job
from services.intake.domain.offers import Answer, Offer
from services.intake.domain.refusals import Refused, Why, unknown
from services.intake.http.desk import Caller, Desk, Lender, TheDesk
from services.intake.http.downloads import DownloadView
from services.intake.http.shapes import Interval

log = structlog.get_logger()
router = APIRouter(prefix="/v1/offers", tags=["lenders"])
ANSWERS = Counter("framelend_intake_offers_answered", "Answers of lenders who choose by hand", ["answer"])
for _answer in (Answer.ACCEPTED, Answer.REJECTED):
    ANSWERS.labels(_answer)
MOST_SHOWN = 200
PICTURE_SECONDS = 8.0


class OfferLine(BaseModel):
    """`work` in WU and `pays` (about) are of what is left after sampling, None before there is an estimate; `agents` are the
    machines that could take it, `accepted_for` those a yes was said for (none named: all). `answer`: none, accepted, rejected."""

    job: str
    renter: str
    frames: int
    engine: str
    memory_bytes: int
    bundle_bytes: int
    price_per_wu: str
    work: Interval | None
    pays: str | None
    agents: list[str]
    answer: Answer
    accepted_for: list[str]


class OfferView(OfferLine):
    """In full. `picture`: whether a small picture of a frame can be looked at."""

    blend: str
    files: int
    unpacked_bytes: int
    width: int
    height: int
    samples: int
    findings: list[Finding]
    picture: bool


class Acceptance(BaseModel):
    """`agents`: which machines may take it; none named: all."""

    model_config = ConfigDict(extra="forbid")

    agents: Annotated[list[Id], Field(max_length=64)] = []


@router.get("", summary="Jobs that wait for my yes or no, and those I have answered, the best paid first")
async def offers(who: Lender, desk: TheDesk) -> list[OfferLine]:
    found = await desk.memory.offers.open(who.id, MOST_SHOWN)
    return [_line(offer, offer.told) for offer in found if offer.told is not None]


@router.get("/{job}", summary="One of them in full")
async def offer(job: str, who: Caller, desk: TheDesk) -> OfferView:
    found = await _own(desk, who.id, job)
    return await _whole(desk, found)


@router.get("/{job}/picture", summary="Address of a small picture of one frame, good for minutes")
async def picture(job: str, who: Caller, desk: TheDesk) -> DownloadView:
    found, known = await _own(desk, who.id, job), await desk.memory.jobs.saved.get(job)
    frame = found.told.thumbnail if found.told else None
    if frame is not None and known is not None and found.ended_at is None and not known.purged:
        one = await desk.addresses.one(job, known.account, f"thumbnails/{frame}", PICTURE_SECONDS)
        if one is not None:
            return DownloadView(**one.model_dump())
    raise Refused(Why.UNKNOWN, "no-picture", "There is no picture of this job yet.", "There is one when a frame is sampled.")


@router.post("/{job}/accept", summary="My machines, or those named, may take it")
async def accept(job: str, asked: Acceptance, who: Caller, desk: TheDesk) -> OfferView:
    """May be said again for other machines; the last answer counts."""
    await _owns(desk, who.id, asked.agents)
    return await _answered(desk, who.id, job, True, asked.agents)


@router.post("/{job}/reject", summary="None of my machines shall take it; what one has in hand it finishes")
async def reject(job: str, who: Caller, desk: TheDesk) -> OfferView:
    return await _answered(desk, who.id, job, False, ())


async def _answered(desk: Desk, owner: str, job: str, is_yes: bool, agents: Sequence[str]) -> OfferView:
    await _own(desk, owner, job)
    found = await desk.memory.offers.answer(owner, job, is_yes, tuple(agents))
    ANSWERS.labels(found.answer).inc()
    log.info("offer answered", job=job, account=owner, answer=found.answer, agents=found.agents)
    return await _whole(desk, found)


async def _own(desk: Desk, owner: str, job: str) -> Offer:
    found = await desk.memory.offers.of(owner, job)
    if found is None:
        raise unknown("offer")
    return found.state


async def _owns(desk: Desk, owner: str, agents: Sequence[str]) -> None:
    known = await desk.memory.agents.saved.read_many(agents)
    if any(one not in known or known[one].state.owner != owner or known[one].state.revoked for one in agents):
        raise unknown("agent")


def _line(offer: Offer, told: JobOffered) -> OfferLine:
    work = told.micro_wu
    return OfferLine(
        job=offer.job,
        renter=told.renter,
        frames=told.frames,
        engine=told.engine,
        memory_bytes=told.memory_bytes,
        bundle_bytes=told.bundle_bytes,
        price_per_wu=credit_text(told.price),
        work=Interval(low=work.low / MICRO, expected=work.expected / MICRO, high=work.high / MICRO) if work else None,
        pays=credit_text(price(work.expected, told.price)) if work else None,
        agents=list(told.agents),
        answer=offer.answer,
        accepted_for=list(offer.agents),
    )


async def _whole(desk: Desk, offer: Offer) -> OfferView:
    assert offer.told is not None
    known = await desk.memory.jobs.saved.get(offer.job)
    upload = await desk.memory.uploads.bundle(known.account, known.bundle) if known else None
    facts = known.facts if known else None
    return OfferView(
        **_line(offer, offer.told).model_dump(),
        blend=known.blend if known else "",
        files=upload.files if upload else 0,
        unpacked_bytes=upload.unpacked_bytes if upload else 0,
        width=facts.width if facts else 0,
        height=facts.height if facts else 0,
        samples=_samples(known),
        findings=list(known.findings) if known else [],
        picture=offer.told.thumbnail is not None,
    )


def _samples(known: Job | None) -> int:
    """Of a pixel: the renter's word before the file's."""
    if known is None:
        return 0
    return known.settings.samples or (known.facts.samples if known.facts else 0)
