"""Cuts jobs for the agents of a round: all jobs of the round in one grouped write, on what is remembered of them.

Two processes that cut one job fence each other by its version: who loses reads it and cuts again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.chassis.repository import Change, Decision, Saved
from services.scheduler.domain.cutting import cut
from services.scheduler.domain.job import Cut, Job
from services.scheduler.domain.policy import Policy
from services.scheduler.repository import Jobs

Parcels = tuple[Job, tuple[Cut, ...]]
"""The job after cutting, and what was cut from it."""


@dataclass(frozen=True)
class Wish:
    """A chunk of this job for each of these speeds (micro-WU a minute); `inserted`: cuts whose chunks exist."""

    job: str
    speeds: Sequence[int]
    slots: int
    inserted: frozenset[str]


class Parcelling:
    def __init__(self, jobs: Jobs, policy: Policy) -> None:
        self._jobs, self._policy = jobs, policy

    async def cut(self, wishes: Sequence[Wish]) -> list[Parcels]:
        """In the order of the wishes, at most one per job."""
        known = await self._jobs.recall_many(wish.job for wish in wishes) if wishes else {}
        tried = [self._decided(wish, known[wish.job]) for wish in wishes]
        won = await self._jobs.save([change for change in tried if change.state != change.before.state])
        outcomes = iter(won)
        saved = [change.state == change.before.state or next(outcomes) for change in tried]
        return [
            _parcels(change.before.state, change.state) if good else await self._again(wish)
            for wish, change, good in zip(wishes, tried, saved, strict=True)
        ]

    def _decided(self, wish: Wish, known: Saved[Job]) -> Change[Job]:
        state, events = self._cut(wish, known.state)
        return Change(known, state, events, known.state.trace)

    async def _again(self, wish: Wish) -> Parcels:
        before: list[Job] = []

        def decide(state: Job, _: datetime) -> Decision[Job]:
            before[:] = [state]
            return self._cut(wish, state)

        after = await self._jobs.update(wish.job, decide)
        return _parcels(before[0], after)

    def _cut(self, wish: Wish, job: Job) -> Decision[Job]:
        return cut(job, wish.speeds, wish.slots, wish.inserted, self._policy)


def _parcels(before: Job, after: Job) -> Parcels:
    had = {one.chunk for one in before.cuts}
    return after, tuple(one for one in after.cuts if one.chunk not in had)
