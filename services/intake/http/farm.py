"""The whole farm: whether it is at work, and the operator's order to it."""

from datetime import datetime

import structlog
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from contracts.events import FarmOrder
from services.intake.domain import farm as domain
from services.intake.domain.farm import Farm
from services.intake.http.desk import Caller, Operator, TheDesk

log = structlog.get_logger()
router = APIRouter(prefix="/v1/farm", tags=["farm"])


class FarmView(BaseModel):
    """`order` stands since `since`; `notice` says what it means, and nothing while the farm is at work."""

    order: FarmOrder
    since: datetime | None
    revision: int
    notice: str


class Ordered(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order: FarmOrder


@router.get("", summary="Is the farm at work?")
async def farm(who: Caller, desk: TheDesk) -> FarmView:
    return _seen(await desk.memory.farm.get())


@router.post("/orders", status_code=202, summary="Pause, stop or resume the whole farm (operator)")
async def order(asked: Ordered, who: Operator, desk: TheDesk) -> FarmView:
    """`pause`: what is in hand is finished, nothing more is given out. `stop`: every container of every connected machine ends
    within seconds; finished frames are kept. `resume`: as usual. Said again, it is carried out again."""
    log.warning("farm ordered", order=asked.order, account=who.id)
    return _seen(await desk.memory.farm.order(asked.order, who.id))


def _seen(known: Farm) -> FarmView:
    return FarmView(order=known.order, since=known.since, revision=known.revision, notice=domain.notice(known))
