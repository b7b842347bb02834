"""Cutting a job into chunks: how large, and under which names.

Theory. A chunk aims at a duration on the agent that asks, so that a container's start is a small share of it. Towards the end
chunks get smaller: nobody takes more than half of an even share of what is left (S. F. Hummel, E. Schonberg, L. E. Flynn,
*Factoring*, CACM 35 (8), 1992), so that the last ones end together. A single slot has nobody to end together with: it takes what
is left at once rather than leave less than half a chunk, which would cost one more start.
"""

import hashlib
from collections.abc import Collection, Sequence, Set
from datetime import datetime
from itertools import islice

from contracts.events import Event
from contracts.values import Kind, count, frames
from services.scheduler.domain import job as jobs
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.job import Cut, Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.quick import replace
from services.scheduler.domain.spans import taken
from services.scheduler.domain.states import JobState

LONGEST_STEM = 40
MARKS = {Kind.INSPECT: "i", Kind.SAMPLE: "s", Kind.PROBE: "p", Kind.RENDER: "r"}


def chunk_id(job: str, kind: Kind, first: int = 0, version: int = 1) -> str:
    """Follows from the job and the chunk's first frame: a frame is cut once per version."""
    stem = job if len(job) <= LONGEST_STEM else hashlib.sha256(job.encode()).hexdigest()[:32]
    number = f"m{-first}" if first < 0 else str(first)
    return f"{stem}-{MARKS[kind]}{version}-{number}"


def inspection(job: Job) -> Job:
    """The chunk that asks a house agent about the file is to exist."""
    return replace(job, cuts=(*job.cuts, Cut(chunk_id(job.job, Kind.INSPECT), Kind.INSPECT, house=True)))


def chunk_of(job: Job, cut: Cut, opened_at: datetime) -> Chunk:
    """The chunk a cut promises."""
    return Chunk(cut.chunk, job.job, cut.kind, cut.frames, opened_at, house=cut.house, version=cut.version)


def cut(job: Job, speeds: Sequence[int], slots: int, inserted: Collection[str], policy: Policy) -> tuple[Job, list[Event]]:
    """A chunk for each agent that asks, fastest plan first come: `speeds` in micro-WU a minute. `slots`: how many slots of the
    farm could work on it. Cuts named in `inserted` exist and are forgotten. The new ones stand at the end of `cuts`."""
    job = replace(job, cuts=tuple(known for known in job.cuts if known.chunk not in inserted))
    if job.state not in (JobState.QUEUED, JobState.RENDERING):
        return job, []
    for speed in speeds:
        if job.uncut:
            job = _cut_one(job, _size(job, speed, slots, policy))
    if job.state is JobState.QUEUED and job.cuts:
        return jobs.advanced(job, JobState.RENDERING, "agents are rendering")
    return job, []


def _cut_one(job: Job, number: int) -> Job:
    first, rest = taken(job.uncut, number)
    new = Cut(chunk_id(job.job, Kind.RENDER, first[0].first, job.version), Kind.RENDER, first, version=job.version)
    return replace(job, uncut=rest, cuts=(*job.cuts, new))


def _size(job: Job, speed: int, slots: int, policy: Policy) -> int:
    """Frames that come nearest to the wanted duration at this speed; at least one."""
    assert job.curve is not None
    left, alone = remaining(job), slots <= 1
    aim = speed * policy.chunk // 60
    if alone and left <= aim * 3 // 2:
        aim = left
    share = aim * 2 if alone else left // (2 * slots)
    total = number = 0
    for frame in islice(frames(job.uncut), policy.chunk_frames):
        cost = job.curve.wu(frame)
        if number and (total + cost > share or total + cost // 2 > aim):
            break
        total += cost
        number += 1
    return number


def remaining(job: Job) -> int:
    """Micro-WU of what is not cut yet, as estimated; 0 before there is an estimate."""
    return 0 if job.micro_wu is None else job.micro_wu.expected * count(job.uncut) // max(1, job.to_render)


def without_cuts(job: Job, done: Set[str]) -> Job:
    """These chunks are known to exist."""
    return replace(job, cuts=tuple(one for one in job.cuts if one.chunk not in done))
