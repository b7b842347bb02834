"""What the handlers and sweeps work with, wired once in `app`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from contracts.events import Event
from contracts.grants import Grant, is_good
from contracts.shards import UNDIVIDED, Shard
from services.chassis.repository import Decide, Unknown
from services.chassis.verdicts import NotYet, SenderFault
from services.scheduler.closing import Closing
from services.scheduler.dispatch import Dispatch
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk, knows
from services.scheduler.domain.job import Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import AgentState
from services.scheduler.domain.verification import Verification
from services.scheduler.learning import Learning
from services.scheduler.progress import Progress
from services.scheduler.quoting import Quoting
from services.scheduler.repository import Agents, Chunks, Jobs, Storages


async def _of_nothing(agent: str) -> None:
    """The farm is at work."""


@dataclass(frozen=True)
class Desk:
    jobs: Jobs
    chunks: Chunks
    agents: Agents
    dispatch: Dispatch
    closing: Closing
    learning: Learning
    quoting: Quoting
    progress: Progress
    policy: Policy
    keys: Mapping[str, bytes]
    """Grant keys by id."""
    say: Callable[[Event], Awaitable[None]]
    now: Callable[[], Awaitable[datetime]]
    storages: Storages
    verification: Verification = field(default_factory=Verification)
    shard: Shard = UNDIVIDED
    """Whose words this process takes."""
    remind: Callable[[str], Awaitable[None]] = _of_nothing
    """Tells a machine that has just spoken the operator's order to the farm, while one stands."""

    async def job(self, job: str, decide: Decide[Job]) -> Job:
        """Decide on a job that a service speaks of. Raises NotYet while it is unknown; then brings its chunks in line."""
        try:
            known = await self.jobs.update(job, decide)
        except Unknown:
            raise NotYet(f"job {job} has not been submitted yet") from None
        await self.closing.settle(known)
        self.quoting.over(known)
        return known

    async def chunk_of(self, agent: str, job: str, chunk: str, attempt: str) -> Chunk:
        """The chunk an agent speaks of. Raises SenderFault unless this agent had this attempt of it."""
        known = await self.chunks.get(chunk)
        if known is None or known.job != job or not knows(known, attempt, agent):
            raise SenderFault(f"{agent} was never given attempt {attempt} of chunk {chunk}")
        return known

    async def agent(self, agent: str) -> Agent:
        """Raises SenderFault for one that nobody enrolled, or that was revoked."""
        known = await self.agents.get(agent)
        if known is None or known.state is AgentState.REVOKED:
            raise SenderFault(f"{agent} is not enrolled")
        return known

    async def check(self, grant: Grant) -> None:
        """Raises SenderFault unless we signed it and its time is not over."""
        if not is_good(grant, self.keys, await self.now()):
            raise SenderFault("the grant is not good")
