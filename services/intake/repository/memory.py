"""All that intake remembers for people to look at, and the three ways a fact enters it: folded, told, rung."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from contracts.events import Event
from services.chassis.repository import Unknown
from services.chassis.verdicts import NotYet
from services.intake.domain import timeline as story
from services.intake.domain.uploads import Upload
from services.intake.repository.accounts import Accounts, Balances
from services.intake.repository.answers import Answers
from services.intake.repository.bell import Bell
from services.intake.repository.codes import Codes
from services.intake.repository.farm import Farms
from services.intake.repository.frames import Frames
from services.intake.repository.jobs import Jobs
from services.intake.repository.lenders import Agents, Earnings
from services.intake.repository.offers import Offers
from services.intake.repository.resources import Samples
from services.intake.repository.timeline import Timeline
from services.intake.repository.uploads import Uploads


@dataclass(frozen=True)
class Memory:
    accounts: Accounts
    balances: Balances
    uploads: Uploads
    jobs: Jobs
    frames: Frames
    timeline: Timeline
    agents: Agents
    codes: Codes
    earnings: Earnings
    farm: Farms
    offers: Offers
    samples: Samples
    answers: Answers
    bell: Bell

    async def fold(self, event: Event) -> None:
        """Into the job's view. Raises NotYet for a job that intake has not submitted (a restored database catches up)."""
        try:
            await self.jobs.fold(str(event.correlation), event)
        except Unknown:
            raise NotYet(f"job {event.correlation} is not known yet") from None
        self.bell.ring(str(event.correlation))

    async def tell(self, event: Event) -> None:
        """Into the job's story."""
        await self.timeline.append([story.entry(event)])
        self.bell.ring(str(event.correlation))

    async def fold_and_tell(self, event: Event) -> None:
        await self.fold(event)
        await self.tell(event)

    async def upload(self, id: str, change: Callable[[Upload, datetime], Upload]) -> None:
        try:
            await self.uploads.saved.update(id, lambda upload, now: (change(upload, now), []))
        except Unknown:
            raise NotYet(f"upload {id} is not known yet") from None
        self.bell.ring(id)

    async def ensure_indexes(self) -> None:
        for part in (
            self.accounts, self.uploads, self.jobs, self.frames, self.timeline, self.agents, self.codes, self.earnings,
            self.samples, self.answers, self.offers,
        ):  # fmt: skip
            await part.ensure_indexes()
