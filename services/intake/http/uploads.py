"""A renter's file on its way in. No byte of it passes through here: the client puts parts to addresses storage has signed."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.events.uploads import MAX_PARTS
from services.chassis.repository import Saved
from services.intake.domain.refusals import Refused, Why, unknown
from services.intake.domain.uploads import State, Upload
from services.intake.http import shapes, views
from services.intake.http.desk import Renter, TheDesk

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])
Wait = Annotated[float, Query(ge=0, le=30, description="Seconds to wait for news.")]
_VERDICTS = (State.STORED, State.REJECTED)


class NewUpload(BaseModel):
    model_config = ConfigDict(extra="forbid")

    bytes: Annotated[int, Field(ge=1, le=1 << 40)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    number: int
    url: str


class PartsView(BaseModel):
    """PUT bytes `(number - 1) * part_bytes …` to each address; the last part holds what is left."""

    page: int
    part_bytes: int
    parts_total: int
    parts: list[Part]
    seconds_valid: int


@router.post("", status_code=202, summary="Announce a bundle")
async def request_upload(asked: NewUpload, who: Renter, desk: TheDesk, response: Response) -> shapes.UploadView:
    """Asking again for the same bytes gives the same upload; 200 and `stored` when this account has sent them before."""
    found = await desk.memory.uploads.request(who.id, asked.sha256, asked.bytes)
    response.status_code = 200 if found.state.state is State.STORED else 202
    return views.upload(found.id, found.state)


@router.get("/{upload}", summary="How is it going?")
async def upload(upload: str, who: Renter, desk: TheDesk, wait: Wait = 0, after: State | None = None) -> shapes.UploadView:
    """With `wait`: answers as soon as the state is not `after` any more (without `after`: as soon as there is a verdict)."""

    async def look() -> Upload | None:
        known = (await _own(desk, who.id, upload)).state
        moved = known.state is not after if after else known.state in _VERDICTS
        return known if moved else None

    with desk.waits.one(who.id, wait):
        found = await desk.memory.bell.until(upload, wait, look)
    return views.upload(upload, found or (await _own(desk, who.id, upload)).state)


@router.get("/{upload}/parts", summary="Addresses to send parts to")
async def parts(
    upload: str, who: Renter, desk: TheDesk, page: Annotated[int, Query(ge=0, le=MAX_PARTS // 100)] = 0, wait: Wait = 20
) -> PartsView:
    """Refused as `upload-over` as soon as there is a verdict: storage may have these bytes already."""

    async def sending() -> Upload:
        known = (await _own(desk, who.id, upload)).state
        if known.state in _VERDICTS:
            text = f"This upload is {known.state}; it takes no more parts."
            raise Refused(Why.CONFLICT, "upload-over", text, "Look at the upload.")
        return known

    with desk.waits.one(who.id, wait):
        found = await desk.addresses.parts(upload, sending, page, wait)
    if found is None:
        raise Refused(Why.LATE, "no-addresses-yet", "Storage has not sent the addresses yet.", "Ask again.")
    listed = [Part(number=part.number, url=part.url) for part in found.parts]
    return PartsView(
        page=page,
        part_bytes=found.part_bytes,
        parts_total=found.parts_total,
        parts=listed,
        seconds_valid=found.seconds_valid,
    )


@router.post("/{upload}/finish", status_code=202, summary="All parts are there")
async def finish(upload: str, who: Renter, desk: TheDesk) -> shapes.UploadView:
    await _own(desk, who.id, upload)
    return views.upload(upload, await desk.memory.uploads.finish(upload))


async def _own(desk: TheDesk, account: str, id: str) -> Saved[Upload]:
    found = await desk.memory.uploads.of(account, id)
    if found is None:
        raise unknown("upload")
    return found
