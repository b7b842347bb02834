"""What people watch: a snapshot of each job that moves, at most once a second."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog

from contracts.bus import NotAnnounced
from contracts.events import AgentShare, AttemptInHand, Event, FrameUnderWay, JobProgressed
from contracts.shards import UNDIVIDED, Shard
from contracts.values import Band, count
from services.scheduler.domain import curves, pace
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import JobState
from services.scheduler.folding import one_by_one, owned_up
from services.scheduler.repository import Agents, Chunks, Jobs, Tally

log = structlog.get_logger()

MOST_SHARES = 200
MOST_FRAMES = 1_000
"""Told of all agents together: with many machines of many slots the snapshot would be larger than the broker lets through."""
LONGEST = 10_000_000.0
"""Seconds that an event may hold."""
SHOWN_STATES = frozenset(JobState) - {JobState.PURGED}
FORGET = timedelta(seconds=30)


class Progress:
    """`touch` marks a job as moved; `tell` says where the touched ones are."""

    def __init__(
        self, jobs: Jobs, chunks: Chunks, agents: Agents, say: Callable[[Event], Awaitable[None]], shard: Shard = UNDIVIDED
    ) -> None:
        self._jobs, self._chunks, self._agents, self._say, self._shard = jobs, chunks, agents, say, shard
        self._touched: set[str] = set()
        self._doing: dict[str, tuple[datetime, Sequence[AttemptInHand]]] = {}
        self._waits: dict[str, str] = {}

    def touch(self, job: str) -> None:
        self._touched.add(job)

    def waiting(self, why: dict[str, str]) -> None:
        """Jobs that nobody can work on now; said with their progress as long as it is so."""
        self._touched.update(why.keys() | self._waits.keys())
        self._waits = why

    def note(self, agent: str, attempts: Sequence[AttemptInHand], now: datetime) -> None:
        """What an agent says it is doing; shown, never decided upon. Also where it has left: nobody else says that."""
        before = self._doing.get(agent, (now, ()))[1]
        self._doing[agent] = (now, attempts)
        self._touched.update([one.job for one in (*before, *attempts)])

    async def tell(self) -> None:
        touched, self._touched = self._touched, set()
        jobs = await self._jobs.get_many(touched)
        told = {id: job for id, job in jobs.items() if job.asked is not None and job.state in SHOWN_STATES}
        if not told:
            return
        fleet = {saved.id: saved.state for saved in await self._agents.heard()}
        now = await self._agents.now()
        self._doing = {agent: doing for agent, doing in self._doing.items() if now - doing[0] < FORGET}
        working, frames = _working(fleet), self._frames_in_hand(now, fleet)
        try:
            wrong = await one_by_one(told, lambda id: self._tell(told[id], fleet, working.get(id, set()), frames.get(id, {})))
            owned_up(wrong)
        except NotAnnounced as away:
            log.info("progress not told", problem=str(away))

    async def _tell(self, job: Job, fleet: dict[str, Agent], working: set[str], frames: dict[str, list[FrameUnderWay]]) -> None:
        tally = await self._chunks.tally(job.job)
        if not tally.is_fresh:
            self._touched.add(job.job)
        await self._say(self._snapshot(job, tally, fleet, working, frames))

    def _snapshot(
        self, job: Job, tally: Tally, fleet: dict[str, Agent], working: set[str], frames: dict[str, list[FrameUnderWay]]
    ) -> JobProgressed:
        """`working` on this job, and the `frames` of it that agents have in hand."""
        names = sorted({*working, *tally.by_agent})[:MOST_SHARES]
        most = max(1, MOST_FRAMES // max(1, len(names)))
        shares = [
            AgentShare(
                agent=agent,
                frames=tuple(one.frame for one in frames.get(agent, ())[:most]),
                under_way=tuple(frames.get(agent, ())[:most]),
                stored=tally.by_agent.get(agent, 0),
                micro_wu_per_minute=fleet[agent].micro_wu_per_minute if agent in fleet else 0,
            )
            for agent in names
        ]
        speed = sum(pace.of(fleet[agent], job.job) * _at_work(fleet[agent]) for agent in working)
        return JobProgressed(
            job=job.job, account=job.account, state=job.state, reason=self._waits.get(job.job, job.reason)[:2000],
            revision=job.revision,
            stored=tally.stored, total=job.total, remaining_seconds=remaining(job, tally.stored, speed), agents=tuple(shares),
            **self._part(),
        )  # fmt: skip

    def _part(self) -> dict[str, int]:
        return {"shard": self._shard.number, "shards": self._shard.of} if self._shard.of > 1 else {}

    def _frames_in_hand(self, now: datetime, fleet: dict[str, Agent]) -> dict[str, dict[str, list[FrameUnderWay]]]:
        """Job → agent → frames; one pass for all jobs. Nobody is shown at work on what he was not given."""
        found: dict[str, dict[str, list[FrameUnderWay]]] = defaultdict(lambda: defaultdict(list))
        for agent, (at, attempts) in self._doing.items():
            given = {(hand.attempt, hand.job) for hand in fleet[agent].hands} if agent in fleet else ()
            for one in attempts:
                if one.frame is not None and (one.attempt, one.job) in given:
                    found[one.job][agent].append(_under_way(one, one.frame, (now - at).total_seconds()))
        return found


def _under_way(one: AttemptInHand, frame: int, ago: float) -> FrameUnderWay:
    """Numbers only: no word of a lender's reaches a renter."""
    left = None if one.remaining_seconds is None else max(0.0, one.remaining_seconds - ago)
    return FrameUnderWay(
        frame=frame,
        seconds=min(LONGEST, one.frame_started_seconds_ago + max(0.0, ago)),
        sample=one.sample,
        samples=one.samples,
        remaining_seconds=left,
    )


def _at_work(agent: Agent) -> int:
    """Attempts that render; one that is about to end lends its slot to the next."""
    return max(1, min(agent.slots, len(agent.hands)))


def _working(fleet: dict[str, Agent]) -> dict[str, set[str]]:
    """Job → agents that have a chunk of it."""
    found: dict[str, set[str]] = defaultdict(set)
    for agent in fleet.values():
        for hand in agent.hands:
            found[hand.job].add(agent.agent)
    return found


def remaining(job: Job, stored: int, speed: int) -> Band | None:
    """Seconds until the last frame, at the speed of the agents that are on it; None before there is an estimate."""
    if job.micro_wu is None or job.total == 0 or not job.to_render:
        return None
    left = min(job.to_render, max(0, job.total - stored))
    if speed == 0 and job.seconds is not None:
        return _scaled(job.seconds, left, job.to_render)
    work = _left(job, job.micro_wu, left)
    return Band(low=work.low * 60 // speed, expected=work.expected * 60 // speed, high=work.high * 60 // speed) if speed else None


def _left(job: Job, quoted: Band, left: int) -> Band:
    """Work of so many frames: what is not cut by the curve, what is under way as frames are on average."""
    under_way = quoted.expected * max(0, left - count(job.uncut)) // job.to_render
    work = under_way + (curves.total(job.curve, job.uncut) if job.curve is not None else 0)
    return _scaled(quoted, work, max(1, quoted.expected))


def _scaled(band: Band, part: int, whole: int) -> Band:
    return Band(low=band.low * part // whole, expected=band.expected * part // whole, high=band.high * part // whole)
