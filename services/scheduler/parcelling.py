"""Cuts jobs for the agents of a round: all jobs of the round in one grouped write, on what is remembered of them.

Two processes that cut one job fence each other by its version: who loses reads it and cuts again, all that were lost together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.chassis.repository import TRIES, Change, Contended, Saved
from services.scheduler import metrics
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
        """In the order of the wishes, at most one per job. Raises Contended when others were faster every time."""
        if not wishes:
            return []
        done: dict[str, Parcels] = {}
        known = await self._jobs.recall_many(wish.job for wish in wishes)
        for _ in range(TRIES):
            done |= await self._tried([wish for wish in wishes if wish.job in known], known)
            lost = [wish.job for wish in wishes if wish.job not in done]
            if not lost:
                return [done[wish.job] for wish in wishes]
            known = await self._jobs.read_many(lost)
        raise Contended("jobs to be cut")

    async def _tried(self, wishes: Sequence[Wish], known: Mapping[str, Saved[Job]]) -> dict[str, Parcels]:
        """Those that were cut, or had nothing left."""
        tried = [self._decided(wish, known[wish.job]) for wish in wishes]
        changes = [change for change in tried if change.state != change.before.state]
        lost = {one.before.id for one, won in zip(changes, await self._jobs.save(changes), strict=True) if not won}
        metrics.LOST_RACES.labels("cut").inc(len(lost))
        return {one.before.id: _parcels(one.before.state, one.state) for one in tried if one.before.id not in lost}

    def _decided(self, wish: Wish, known: Saved[Job]) -> Change[Job]:
        state, events = cut(known.state, wish.speeds, wish.slots, wish.inserted, self._policy)
        return Change(known, state, events, known.state.trace)


def _parcels(before: Job, after: Job) -> Parcels:
    had = {one.chunk for one in before.cuts}
    return after, tuple(one for one in after.cuts if one.chunk not in had)
