"""What a lender's machine is doing right now: what each attempt on it takes, never whose job it is."""

from fastapi import APIRouter
from pydantic import BaseModel

from contracts.events import Resources
from services.intake.domain.accounts import Role
from services.intake.domain.refusals import Refused, Why
from services.intake.http.desk import Caller, TheDesk

router = APIRouter(prefix="/v1", tags=["lenders"])


class AttemptResources(BaseModel):
    attempt: str
    resources: Resources


@router.get("/agents/{agent}/resources", summary="What each attempt on this machine takes, at most a minute old")
async def resources(agent: str, who: Caller, desk: TheDesk) -> list[AttemptResources]:
    known = await desk.memory.agents.saved.get(agent)
    if known is None or (known.owner != who.id and Role.OPERATOR not in who.state.roles):
        raise Refused(Why.UNKNOWN, "no-such-agent", "You have no machine with this id.", "List yours: GET /v1/agents")
    said = await desk.memory.samples.of_agent(agent)
    return [AttemptResources(attempt=one.attempt, resources=one.resources) for one in said]
