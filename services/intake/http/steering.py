"""Jobs under way: what their renter, or the operator, wants of them."""

from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.events import Action
from contracts.events.control import PRIORITIES
from contracts.values import Ranges
from services.intake.domain import framelists, steering, uploads
from services.intake.domain import frames as bitmaps
from services.intake.domain.accounts import key_hash
from services.intake.domain.credits import micro
from services.intake.domain.framelists import written
from services.intake.domain.ids import derived
from services.intake.domain.jobs import Job
from services.intake.domain.refusals import Refused, Why
from services.intake.domain.timeline import own
from services.intake.http import shapes
from services.intake.http.desk import Desk, IdempotencyKey, Steered, SteeredJob, TheDesk
from services.intake.http.jobs import MOST_COST_MICRO, MOST_PER_WU_MICRO, again, done, seen
from services.intake.repository.accounts import key_reused

log = structlog.get_logger()
router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class JobChange(BaseModel):
    """Only what is named changes. `null` takes `max_cost`, `deadline` and `start_at` back. A deadline that is set or moved nearer
    after the price was accepted orders only the renter's own jobs; one that stood then goes before other renters' bids."""

    model_config = ConfigDict(extra="forbid")

    price_per_wu: Annotated[str, Field(max_length=40)] | None = None
    """Until the job is estimated."""
    max_cost: Annotated[str, Field(max_length=40)] | None = None
    """Until its price is accepted."""
    deadline: AwareDatetime | None = None
    start_at: AwareDatetime | None = None
    """No frame is rendered before, but for samples; at most 30 days ahead."""
    priority: Annotated[int, Field(ge=-PRIORITIES, le=PRIORITIES)] | None = None
    """Among your own jobs of the same bid."""


class FrameList(BaseModel):
    """Like "5,7-9"."""

    model_config = ConfigDict(extra="forbid")

    frames: Annotated[str, Field(min_length=1, max_length=framelists.MAX_TEXT)]


class Retry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    without: Annotated[str, Field(max_length=framelists.MAX_TEXT)] | None = None
    """Of a job that has ended: frames that are not wanted."""


@router.post("/{job}/cancel", status_code=202, summary="Stop for good; finished frames stay paid and yours")
async def cancel(job: str, steered: SteeredJob, desk: TheDesk) -> shapes.JobView:
    return await _steer(desk, steered, Action.CANCEL, "cancelled the job.")


@router.post("/{job}/pause", status_code=202, summary="Stop for a while")
async def pause(job: str, steered: SteeredJob, desk: TheDesk) -> shapes.JobView:
    return await _steer(desk, steered, Action.PAUSE, "paused the job.")


@router.post("/{job}/resume", status_code=202, summary="Go on")
async def resume(job: str, steered: SteeredJob, desk: TheDesk) -> shapes.JobView:
    return await _steer(desk, steered, Action.RESUME, "resumed the job.")


@router.patch("/{job}", status_code=202, summary="Change bid, limit, deadline, start or priority of a job")
async def change(job: str, asked: JobChange, steered: SteeredJob, desk: TheDesk) -> shapes.JobView:
    said = _change(asked)
    after = await desk.memory.jobs.saved.update(job, lambda known, now: steering.changed(job, known, said, steered.by, now))
    return await _told(desk, steered, after, f"changed {', '.join(sorted(asked.model_fields_set))}.")


@router.post(
    "/{job}/skip", status_code=202, summary="Leave frames out: they are not charged, and the job is complete without them"
)
async def skip(job: str, asked: FrameList, steered: SteeredJob, desk: TheDesk) -> shapes.JobView:
    """Frames that are stored already stay. What is left out stays out."""
    unwanted, stored = framelists.parsed(asked.frames), await _stored(desk, job)
    after = await desk.memory.jobs.saved.update(job, lambda known, _: steering.without(job, known, unwanted, stored, steered.by))
    return await _told(desk, steered, after, f"left out frames {written(unwanted)}.")


@router.post("/{job}/retry", status_code=202, summary="Try again what failed")
async def retry(job: str, asked: Retry, key: IdempotencyKey, steered: SteeredJob, desk: TheDesk) -> shapes.JobView:
    """Of a job under way: its frames have all their tries again, and machines kept off it are let back. Of one that failed or
    was cancelled, for its owner: a new job of the frames it lacks, with a price of its own."""
    if steered.saved.state.state in ("failed", "cancelled"):
        return await _again(desk, steered, asked, key)
    after = await desk.memory.jobs.saved.update(job, lambda known, _: steering.forgiven(job, known, steered.by))
    return await _told(desk, steered, after, "had what failed tried again.")


async def _steer(desk: Desk, steered: Steered, action: Action, text: str) -> shapes.JobView:
    changed = await desk.memory.jobs.control(steered.saved.id, action, by=steered.by)
    return await _told(desk, steered, changed, text)


async def _told(desk: Desk, steered: Steered, after: Job, text: str) -> shapes.JobView:
    """Nothing is told of what changes nothing."""
    if after.control_revision == 0:
        return await seen(desk, steered.saved)
    who = "You" if steered.by == after.account else "The operator"
    return await done(desk, steered.saved, "job.controlled", str(after.control_revision), f"{who} {text}"[:2_000])


async def _stored(desk: Desk, job: str) -> Ranges:
    return tuple(one for bucket in await desk.memory.frames.of(job) for one in bitmaps.stored(bucket.state))


async def _again(desk: Desk, steered: Steered, asked: Retry, key: str) -> shapes.JobView:
    """The new job's id follows from its key, so that it is submitted once."""
    old = steered.saved.state
    if steered.by != old.account:
        raise Refused(Why.FORBIDDEN, "not-yours", "A new job costs its renter money.", "Ask the renter.")
    id, fingerprint = derived("j", old.account, key), key_hash(f"retry {steered.saved.id} {asked.without}")
    if await desk.memory.jobs.of(old.account, id) is None:
        now, unwanted = await desk.clock.now(), framelists.parsed(asked.without) if asked.without else ()
        await _usable(desk, old, now)
        fresh = steering.again(old, await _stored(desk, steered.saved.id), unwanted, fingerprint, now)
        if await desk.memory.jobs.submit(id, fresh):
            log.info("job submitted again", job=id, former=steered.saved.id, account=old.account)
    found = await again(desk, old.account, id)
    if found.state.fingerprint != fingerprint:
        raise key_reused()
    text = f"Submitted: frames {written(found.state.asked)}, which job {steered.saved.id} did not bring."
    await desk.memory.timeline.append([own(id, "job.submitted", "", text[:2_000])])
    return await seen(desk, found)


async def _usable(desk: Desk, old: Job, now: datetime) -> None:
    found = await desk.memory.uploads.bundle(old.account, old.bundle)
    if found is None:
        raise Refused(Why.CONFLICT, "bundle-gone", "The farm does not have the bundle any more.", "Submit the file again.")
    uploads.usable(found, now)


def _change(asked: JobChange) -> dict[str, Any]:
    """What was said, amounts in micro-credits."""
    said: dict[str, Any] = {name: getattr(asked, name) for name in asked.model_fields_set}
    if said.get("max_cost") is not None:
        said["max_cost"] = micro(said["max_cost"], "max_cost", MOST_COST_MICRO)
    if (bid := said.pop("price_per_wu", None)) is not None:
        said["price_per_wu_micro"] = micro(bid, "price_per_wu", MOST_PER_WU_MICRO)
    return said
