"""What a renter wants of his job besides running, pausing and cancelling it, and what that changes in the job and its chunks.

Theory. Each control says all of the wishes, and the highest revision stands: nothing depends on those before it. Two things are
never taken back, whatever comes late: a frame left out stays out, and tries once forgiven are forgiven once. The price is no
wish: from the estimate on the bid is firm (docs/decisions/0033), and a limit is compared where a price is accepted.
"""

from dataclasses import replace
from datetime import datetime

from contracts.events import JobControlled, JobSubmitted, Wishes
from contracts.values import Kind, Limits, Ranges, count, frames
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import job as jobs
from services.scheduler.domain import spans
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.job import Decided, Job
from services.scheduler.domain.states import CHUNK_MOVES, ChunkState, JobState, check

BEFORE_RENDERING = frozenset({JobState.SUBMITTED, JobState.INSPECTING, JobState.ESTIMATING, JobState.QUOTED})


def controlled(job: Job | None, said: JobControlled, now: datetime) -> Decided:
    """Cancel, pause, resume, and the wishes that stand with it; older revisions change nothing."""
    is_news = job is None or said.revision > job.control
    after, events = jobs.controlled(job, said, now)
    if not is_news or said.wishes is None or after.asked is None or jobs.is_over(after):
        return after, events
    return _wished(after, after.asked, said.wishes), events


def _wished(job: Job, asked: JobSubmitted, wanted: Wishes) -> Job:
    out = _together(job.wishes.left_out, wanted.left_out)
    limits = Limits(max_cost=asked.limits.max_cost, deadline=wanted.deadline)
    bid = wanted.price_per_wu_micro if job.version == 0 else None
    return replace(
        job,
        asked=asked.model_copy(update={"limits": limits, "price_per_wu_micro": bid or asked.price_per_wu_micro}),
        wishes=wanted.model_copy(update={"left_out": out, "retries": max(wanted.retries, job.wishes.retries)}),
        uncut=spans.less(job.uncut, out),
        total=count(spans.less(job.frames, out)) if out else job.total,
    )


def _together(known: Ranges, more: Ranges) -> Ranges:
    return known if spans.less(more, known) == () else spans.normalised((*known, *more))


def may_begin(job: Job, now: datetime) -> bool:
    """Whether its turn may come: inspection and samples at once, rendering at its time."""
    return job.wishes.start_at is None or job.wishes.start_at <= now or jobs.stage(job) in BEFORE_RENDERING


def forgives(job: Job | None, said: JobControlled) -> bool:
    """The renter wants what failed to be tried anew, and that was not done yet."""
    if job is None or said.wishes is None or said.revision <= job.control or jobs.is_over(job):
        return False
    return said.wishes.retries > job.wishes.retries


# --- chunks


def left_out(chunk: Chunk, unwanted: Ranges, reason: str, now: datetime) -> chunks.Decided:
    """Frames that nobody has stored and nobody wants are frames of the chunk no more. An attempt that would render them is
    stopped; what it has finished of the others is kept. Samples are rendered: the price needs them."""
    lacking = spans.held(unwanted, frames(chunks.missing(chunk)))
    if not lacking or not chunks.is_open(chunk) or chunk.kind is not Kind.RENDER:
        return chunk, []
    stopped, events = chunks.put_back(chunk, reason, now)
    tries = tuple(one for one in stopped.tries if one.frame not in lacking)
    rest = replace(stopped, frames=spans.without(stopped.frames, lacking), tries=tries)
    if chunks.missing(rest) or not chunks.is_open(rest):
        return rest, events
    end = ChunkState.COMPLETED if rest.frames else ChunkState.CLOSED
    check(CHUNK_MOVES, f"chunk {chunk.chunk}", rest.state, end)
    return replace(rest, state=end), events


def forgiven(chunk: Chunk) -> Chunk:
    """Every frame has all its tries again, and whoever failed may try at once."""
    if not chunks.is_open(chunk):
        return chunk
    return replace(chunk, tries=(), failed_on=(), house=chunk.house and chunk.kind is not Kind.RENDER)
