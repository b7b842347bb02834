"""One click on what the inspection offers: the job again, changed; the one it replaces is cancelled."""

from contextlib import suppress
from typing import Annotated

import structlog
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from contracts.changes import Change
from contracts.events import Action
from services.chassis.repository import Saved
from services.intake.domain import changing, passes, uploads
from services.intake.domain.accounts import key_hash
from services.intake.domain.ids import derived
from services.intake.domain.jobs import Job
from services.intake.domain.passes import LINK_LIFE, Pass
from services.intake.domain.refusals import Refused, Why, unknown
from services.intake.domain.timeline import own
from services.intake.http import shapes
from services.intake.http.desk import Desk, IdempotencyKey, OwnJob, TheDesk
from services.intake.http.jobs import seen
from services.intake.repository.accounts import key_reused

log = structlog.get_logger()
router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class Changes(BaseModel):
    model_config = ConfigDict(extra="forbid")

    changes: Annotated[list[Change], Field(min_length=1, max_length=16)]


class Changed(BaseModel):
    """The new job, and a path that opens its page for a while (as `POST /v1/jobs/{job}/page-links` gives)."""

    job: shapes.JobView
    path: str


@router.post("/{job}/changes", status_code=202, summary="Submit the job again with changes that its inspection offers")
async def change(job: str, asked: Changes, key: IdempotencyKey, own_job: OwnJob, desk: TheDesk) -> Changed:
    """The new job's id follows from account and Idempotency-Key: sending it again submits nothing twice."""
    account, now = own_job.state.account, await desk.clock.now()
    id, fingerprint = derived("j", account, key), key_hash(f"{job}:{asked.model_dump_json()}")
    found = await desk.memory.jobs.of(account, id)
    if found is None:
        await _must_be_open(desk, own_job, id)
        again = changing.changed(own_job.state, asked.changes, fingerprint, now)
        await _must_be_there(desk, again)
        if await desk.memory.jobs.submit(id, again):
            log.info("job submitted", job=id, account=account, bundle=again.bundle, replaces=job)
        found = await desk.memory.jobs.of(account, id)
    if found is None:
        raise unknown("job")
    if found.state.fingerprint != fingerprint:
        raise key_reused()
    await _replaced(desk, own_job, id)
    words = ", ".join(found.state.settings.changes)
    await desk.memory.timeline.append([own(id, "job.submitted", "", f"Submitted again instead of {job}, with: {words}."[:2_000])])
    link = passes.sealed(Pass(passes.LINK, account, id, now + LINK_LIFE), desk.page_key)
    return Changed(job=await seen(desk, found), path=f"/jobs/{id}/open?pass={link}")


async def _must_be_open(desk: Desk, old: Saved[Job], id: str) -> None:
    """A second click, or a second browser, is told of the first one's job."""
    before = old.state.replaced_by
    other = await desk.memory.jobs.of(old.state.account, before) if before and before != id else None
    if other is not None and changing.is_under_way(other.state):
        text = f"This job was submitted again as {other.id}."
        raise Refused(Why.CONFLICT, "changed-already", text, "Look at that one; cancel it if you want other changes.")


async def _must_be_there(desk: Desk, job: Job) -> None:
    bundle = await desk.memory.uploads.bundle(job.account, job.bundle)
    if bundle is None:
        raise unknown("bundle")
    uploads.usable(bundle, await desk.clock.now())


async def _replaced(desk: Desk, old: Saved[Job], id: str) -> None:
    """Said on the old job, and what it would still cost is stopped. Done again after a crash in between."""
    await desk.memory.jobs.replaced(old.id, id)
    if changing.is_under_way(old.state) and old.state.control is not Action.CANCEL:
        with suppress(Refused):  # it has ended in this very moment
            await desk.memory.jobs.control(old.id, Action.CANCEL, by=old.state.account)
    await desk.memory.timeline.append([own(old.id, "job.replaced", id, f"Submitted again with changes as {id}.")])
    desk.memory.bell.ring(old.id)
