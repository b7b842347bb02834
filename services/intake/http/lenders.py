"""What a lender sees: machines and earnings, never whose jobs they were."""

from fastapi import APIRouter
from pydantic import BaseModel

from contracts.events import AgentOrder
from contracts.values import MICRO
from services.chassis.repository import Saved
from services.intake.domain.accounts import Role
from services.intake.domain.agents import Agent
from services.intake.domain.credits import credit_text
from services.intake.http import shapes, views
from services.intake.http.desk import Caller, Lender, TheDesk

router = APIRouter(prefix="/v1", tags=["lenders"])
MOST_ROWS = 500


class AgentView(BaseModel):
    """`state` as the scheduler sees it, or `leaving` while a revocation is under way; `wu_per_minute` as learned; `order` is the
    owner's last one."""

    id: str
    name: str
    owner: str
    house: bool
    state: str
    reason: str
    wu_per_minute: float
    cores: float
    order: AgentOrder = AgentOrder.ENABLE


class AgentEarnings(BaseModel):
    agent: str
    jobs: int
    frames: int
    work: float
    earned: str


class JobEarnings(BaseModel):
    """`final` when the job is settled."""

    job: str
    agent: str
    frames: int
    work: float
    earned: str
    final: bool


class EarningsView(BaseModel):
    """`jobs` holds the 500 rows that changed last, newest first; the sums are of all. `balances` also has what is not of a job's
    bill: copies that the farm ordered, and samples that were told late."""

    balances: shapes.Balances
    earned: str
    frames: int
    agents: list[AgentEarnings]
    jobs: list[JobEarnings]


@router.get("/agents", summary="My machines; all machines for the operator")
async def agents(who: Caller, desk: TheDesk) -> list[AgentView]:
    everybody = Role.OPERATOR in who.state.roles
    return [seen(one) for one in await desk.memory.agents.owned_by(None if everybody else who.id)]


def seen(one: Saved[Agent]) -> AgentView:
    known = one.state
    return AgentView(
        id=one.id,
        name=known.name,
        owner=known.owner,
        house=known.house,
        state="leaving" if known.leaving and not known.revoked else known.state,
        reason=known.reason,
        wu_per_minute=known.micro_wu_per_minute / MICRO,
        cores=known.cores,
        order=known.order,
    )


@router.get("/earnings", summary="What my machines have earned")
async def earnings(who: Lender, desk: TheDesk) -> EarningsView:
    sums = await desk.memory.earnings.per_agent(who.id)
    rows = await desk.memory.earnings.of_owner(who.id, MOST_ROWS)
    return EarningsView(
        balances=views.balances(await desk.memory.balances.of(who.id)),
        earned=credit_text(sum(one["earned_micro"] for one in sums)),
        frames=sum(one["frames"] for one in sums),
        agents=[
            AgentEarnings(
                agent=one["_id"],
                jobs=one["jobs"],
                frames=one["frames"],
                work=one["micro_wu"] / MICRO,
                earned=credit_text(one["earned_micro"]),
            )
            for one in sums
        ],
        jobs=[
            JobEarnings(
                job=row.job,
                agent=row.agent,
                frames=row.frames,
                work=row.micro_wu / MICRO,
                earned=credit_text(row.earned_micro),
                final=row.final,
            )
            for row in rows
        ],
    )
