"""What comes out: addresses of frames, thumbnails and packaged files. The bytes come from the store, not through here."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from contracts.values import LAST_FRAME
from services.intake.domain.jobs import Job
from services.intake.domain.refusals import Refused, Why
from services.intake.http.addresses import MOST_NAMES
from services.intake.http.desk import OwnJob, TheDesk
from services.intake.http.uploads import Wait

router = APIRouter(prefix="/v1/jobs", tags=["downloads"])
THUMBNAIL_SECONDS = 8.0
THUMBNAIL = "thumbnails/"


class Names(BaseModel):
    """`frames/<number>`, `thumbnails/<number>`, or names of the job's files."""

    model_config = ConfigDict(extra="forbid")

    names: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=MOST_NAMES)]


class DownloadView(BaseModel):
    name: str
    url: str
    bytes: int
    sha256: str


class DownloadsView(BaseModel):
    """`missing` are names that do not exist (yet)."""

    downloads: list[DownloadView]
    missing: list[str]


@router.post("/{job}/downloads", summary="Addresses to fetch from, good for minutes")
async def downloads(job: str, asked: Names, own_job: OwnJob, desk: TheDesk, wait: Wait = 15) -> DownloadsView:
    _permitted(own_job.state, asked.names)
    with desk.waits.one(own_job.state.account, wait):
        found = await desk.addresses.downloads(own_job.id, own_job.state.account, asked.names, wait)
    if found is None:
        raise Refused(Why.LATE, "no-addresses-yet", "Storage has not sent the addresses yet.", "Ask again.")
    listed = [DownloadView(**one.model_dump()) for one in found.values()]
    return DownloadsView(downloads=listed, missing=[name for name in asked.names if name not in found])


@router.get("/{job}/thumbnails/{frame}", summary="A small picture of a frame", status_code=302, response_class=RedirectResponse)
async def thumbnail(job: str, frame: int, own_job: OwnJob, desk: TheDesk) -> RedirectResponse:
    found = None
    if abs(frame) <= LAST_FRAME and not own_job.state.purged:
        found = await desk.addresses.one(own_job.id, own_job.state.account, f"{THUMBNAIL}{frame}", THUMBNAIL_SECONDS)
    if found is None:
        raise Refused(
            Why.UNKNOWN, "no-thumbnail", f"There is no thumbnail of frame {frame}.", "Frames get one when they are stored."
        )
    return RedirectResponse(found.url, 302, {"Cache-Control": "private, max-age=60"})


def _permitted(job: Job, names: list[str]) -> None:
    """Frames are the renter's when the price is held; small pictures can be looked at before."""
    if job.purged:
        raise Refused(Why.CONFLICT, "purged", "The job's files were deleted at the end of their keeping time.", "Render again.")
    wants_frames = any(not name.startswith(THUMBNAIL) for name in names)
    if wants_frames and not job.may_fetch_frames:
        text = "Full frames can be fetched once the quote is accepted and its price is held."
        raise Refused(Why.CONFLICT, "not-paid", text, "Accept the quote first; thumbnails can be seen before.")
