"""Jobs: submitted, looked at, answered, steered."""

from datetime import datetime
from typing import Annotated, TypedDict

import structlog
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.events import Wishes
from contracts.events.control import PRIORITIES
from contracts.values import LEAST_SIDE, Audience, Frame, Id, Limits, Order, Ranges, RenderSettings
from services.chassis.repository import Saved
from services.intake.domain import framelists, steering, uploads
from services.intake.domain.accounts import key_hash
from services.intake.domain.credits import micro
from services.intake.domain.framelists import written
from services.intake.domain.ids import derived
from services.intake.domain.jobs import NO_WISHES, Job
from services.intake.domain.refusals import Refused, Why, unknown
from services.intake.domain.timeline import own
from services.intake.domain.uploads import Upload
from services.intake.http import shapes, views
from services.intake.http.desk import Desk, IdempotencyKey, OwnJob, Renter, TheDesk
from services.intake.http.uploads import Wait
from services.intake.repository.accounts import key_reused
from services.intake.repository.frames import Counted

log = structlog.get_logger()
MOST_PER_WU_MICRO = 10**12
MOST_COST_MICRO = 10**15
router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class FramesFromTo(BaseModel):
    model_config = ConfigDict(extra="forbid")

    first: Frame
    last: Frame
    step: Annotated[int, Field(ge=1)] = 1


class SettingsAsked(RenderSettings):
    """As in the file where nothing is said."""

    model_config = ConfigDict(extra="forbid")

    width: Annotated[int, Field(ge=LEAST_SIDE, le=32_768)] | None = None
    height: Annotated[int, Field(ge=LEAST_SIDE, le=32_768)] | None = None


class NewJob(BaseModel):
    """`frames` like "1-48,60,100-200x2" or a list of ranges; left out: the file's own range. Amounts are decimal credits."""

    model_config = ConfigDict(extra="forbid")

    bundle: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    blend: Annotated[str, Field(min_length=1, max_length=1_024)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    frames: str | list[FramesFromTo] | None = None
    settings: SettingsAsked = SettingsAsked()
    price_per_wu: Annotated[str, Field(max_length=40)]
    max_cost: Annotated[str, Field(max_length=40)] | None = None
    deadline: AwareDatetime | None = None
    start_at: AwareDatetime | None = None
    """No frame is rendered before, but for samples; at most 30 days ahead."""
    priority: Annotated[int, Field(ge=-PRIORITIES, le=PRIORITIES)] = 0
    """Among your own jobs of the same bid."""
    order: Order = Order.FORWARD
    allows: Annotated[list[Audience], Field(max_length=4)] = []
    """Whom you let render, whom you like best first: own, named, trusted, anyone. Empty: anyone."""
    lenders: Annotated[list[Id], Field(max_length=100)] = []
    """Accounts and agents that `named` means."""


class Version(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1, le=1_000)]


@router.post("", status_code=202, summary="Submit a job")
async def submit(asked: NewJob, key: IdempotencyKey, who: Renter, desk: TheDesk) -> shapes.JobView:
    """The job's id follows from account and Idempotency-Key: sending it again submits nothing twice."""
    id = derived("j", who.id, key)
    if await desk.memory.jobs.of(who.id, id) is None:
        frames, now = _frames(asked.frames), await desk.clock.now()
        upload = await _bundle(desk, who.id, asked.bundle, now)
        if await desk.memory.jobs.submit(id, _job(asked, who.id, frames, upload, now)):
            log.info("job submitted", job=id, account=who.id, bundle=asked.bundle)
    found = await again(desk, who.id, id)
    if found.state.fingerprint != _fingerprint(asked):
        raise key_reused()
    which = f"frames {written(found.state.asked)}" if found.state.asked else "the file's own frames"
    await desk.memory.timeline.append([own(id, "job.submitted", "", f"Submitted: {which} of {found.state.blend}."[:2_000])])
    return await seen(desk, found)


@router.get("", summary="My jobs, newest first")
async def jobs(
    who: Renter, desk: TheDesk, before: str | None = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[shapes.JobLine]:
    found = await desk.memory.jobs.newest(who.id, before, limit)
    counts = await desk.memory.frames.counts([one.id for one in found])
    return [views.job_line(one, counts.get(one.id, Counted())) for one in found]


@router.get("/{job}", summary="One job in full")
async def job(job: str, own_job: OwnJob, desk: TheDesk, wait: Wait = 0, after: int | None = None) -> shapes.JobView:
    """With `wait` and `after`: answers as soon as the revision is above `after`."""

    async def look() -> shapes.JobView | None:
        view = await seen(desk, await again(desk, own_job.state.account, job))
        return view if after is None or view.revision > after else None

    found = None
    if after is not None:
        with desk.waits.one(own_job.state.account, wait):
            found = await desk.memory.bell.until(job, wait, look)
    return found or await seen(desk, await again(desk, own_job.state.account, job))


@router.post("/{job}/quote/accept", status_code=202, summary="Accept the quote: its price is held now")
async def accept(job: str, asked: Version, key: IdempotencyKey, own_job: OwnJob, desk: TheDesk) -> shapes.JobView:
    await desk.memory.jobs.answer(job, asked.version, key, accept=True)
    return await done(desk, own_job, "quote.accepted", f"{asked.version}:{key}", f"You accepted quote {asked.version}.")


@router.post("/{job}/quote/decline", status_code=202, summary="Decline the quote: only sampling is charged")
async def decline(job: str, asked: Version, key: IdempotencyKey, own_job: OwnJob, desk: TheDesk) -> shapes.JobView:
    await desk.memory.jobs.answer(job, asked.version, key, accept=False)
    return await done(desk, own_job, "quote.declined", str(asked.version), f"You declined quote {asked.version}.")


async def seen(desk: Desk, saved: Saved[Job]) -> shapes.JobView:
    """The job as its owner sees it now."""
    counts = await desk.memory.frames.counts([saved.id])
    earned = await desk.memory.earnings.of_job(saved.id)
    farm = await desk.memory.farm.get()
    return views.job(saved, counts.get(saved.id, Counted()), earned, await desk.clock.now(), farm)


async def done(desk: Desk, saved: Saved[Job], kind: str, which: str, text: str) -> shapes.JobView:
    log.info(kind.replace(".", " "), job=saved.id, account=saved.state.account, which=which.partition(":")[0])
    await desk.memory.timeline.append([own(saved.id, kind, which, text)])
    desk.memory.bell.ring(saved.id)
    return await seen(desk, await again(desk, saved.state.account, saved.id))


async def again(desk: Desk, account: str, id: str) -> Saved[Job]:
    found = await desk.memory.jobs.of(account, id)
    if found is None:
        raise unknown("job")
    return found


async def _bundle(desk: Desk, account: str, sha256: str, now: datetime) -> Upload:
    found = await desk.memory.uploads.bundle(account, sha256)
    if found is None:
        raise unknown("bundle")
    return uploads.usable(found, now)


def _frames(asked: str | list[FramesFromTo] | None) -> Ranges:
    """Empty for the file's own range."""
    if asked is None:
        return ()
    if isinstance(asked, str):
        return framelists.parsed(asked)
    return framelists.checked([framelists.one(r.first, r.last, r.step) for r in asked])


def _job(asked: NewJob, account: str, frames: Ranges, upload: Upload, now: datetime) -> Job:
    blend = uploads.blend_of(upload, asked.blend)
    if asked.deadline is not None and asked.deadline <= now:
        raise Refused(Why.INVALID, "deadline-over", "The deadline is in the past.", "Name a later one, or none.")
    wishes = Wishes(start_at=steering.begins(asked.start_at, now), priority=asked.priority)
    steering.check_times(asked.start_at, asked.deadline)
    most = micro(asked.max_cost, "max_cost", MOST_COST_MICRO) if asked.max_cost is not None else None
    return Job(
        account=account,
        name=asked.name or (blend.rsplit("/", 1)[-1].removesuffix(".blend") or blend)[:200],
        bundle=asked.bundle,
        bundle_bytes=upload.bytes,
        blend=blend,
        asked=frames,
        settings=RenderSettings(**asked.settings.model_dump()),
        price_per_wu_micro=micro(asked.price_per_wu, "price_per_wu", MOST_PER_WU_MICRO),
        limits=Limits(max_cost=most, deadline=asked.deadline),
        fingerprint=_fingerprint(asked),
        wishes=wishes,
        control_revision=0 if wishes == NO_WISHES else 1,
        submitted_at=now,
        **wanted(asked),
    )


class Wanted(TypedDict):
    allows: tuple[Audience, ...]
    lenders: tuple[str, ...]
    order: Order


def wanted(asked: NewJob) -> Wanted:
    """Whom he allows, each once, and which frames first. Raises Refused when names and `named` do not go together."""
    if (Audience.NAMED in asked.allows) != bool(asked.lenders):
        raise Refused(Why.INVALID, "lenders-unnamed", "`named` in `allows` goes with `lenders`.", "Give both, or none.")
    return Wanted(allows=tuple(dict.fromkeys(asked.allows)), lenders=tuple(dict.fromkeys(asked.lenders)), order=asked.order)


def _fingerprint(asked: NewJob) -> str:
    return key_hash(asked.model_dump_json())
