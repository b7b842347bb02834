"""How much memory a job's frames need: guessed at inspection, then learned from what attempts really took.

Learning only lowers the guess: no attempt can take more than it was given, and a lender who exaggerates must not keep a job from
others. One who belittles costs the others a try: so a peak counts when the house has seen it or two lenders of different owners,
the largest counts, with a margin for frames nobody has seen, and the first attempt that runs out of memory ends learning.

Once two owners' machines ran out of the guess itself it is doubled, so that not every chunk has to find that out for itself: once
for these owners, and the house renders the chunk that the second failed at. If that took no more than the old guess, the guess is
what it was; nobody else is heard before the house has tried. Its own lack of memory doubles the guess by itself.
"""

from dataclasses import dataclass, replace

from services.scheduler.domain import job as jobs
from services.scheduler.domain.chunk import Chunk, Ending, has_ended
from services.scheduler.domain.job import Decided, Job
from services.scheduler.domain.peaks import MemoryPeak, Raised
from services.scheduler.domain.picture import LEAST_MEMORY
from services.scheduler.domain.policy import GIB

MARGIN_PERCENT = 150
MOST_OWNERS = 8
DOUBTING_OWNERS = 2
MOST_RAISERS = 64
MOST_MEMORY = 1 << 44


@dataclass(frozen=True)
class Lack:
    """Who ran out, at which chunk, and how many bytes the machine `has`."""

    owner: str
    house: bool
    chunk: str
    has: int


def need(job: Job, factor: int = 1) -> int:
    """Bytes for one attempt; `factor` is what a chunk asks for after it ran out, and then only the guess counts."""
    learned = None if factor > 1 else _learned(job)
    return job.memory_bytes * factor if learned is None else min(job.memory_bytes, learned)


def noted(job: Job, owner: str, house: bool, peak_bytes: int) -> Job:
    """With this peak, if it says anything new: of each owner only the largest is kept."""
    if job.ran_out_of_memory or peak_bytes <= 0:
        return job
    known = next((one for one in job.memory_peaks if one.owner == owner), None)
    others = tuple(one for one in job.memory_peaks if one.owner != owner)
    if len(others) >= MOST_OWNERS or (known is not None and known.peak_bytes >= peak_bytes):
        return job
    return replace(job, memory_peaks=(*others, MemoryPeak(owner, house, peak_bytes)))


def ran_out(job: Job, lack: Lack, largest: int) -> Decided:
    """An attempt had too little: what was learned is wrong for some of its frames, and perhaps what was guessed. `largest`: the
    most that a machine of the farm has; 0 while that is unknown."""
    known = replace(job, ran_out_of_memory=True, memory_peaks=())
    is_guess_too_small = 0 < job.memory_bytes <= lack.has
    if lack.house:
        after = replace(known, raised=None)
        return _larger(after, largest) if is_guess_too_small else (after, [])
    if not is_guess_too_small or job.raised is not None or lack.owner in job.raised_by:
        return known, []
    owners = tuple(dict.fromkeys((*job.ran_out, lack.owner)))
    if len(owners) < DOUBTING_OWNERS:
        return replace(known, ran_out=owners), []
    raised_by = (*job.raised_by, *owners)[-MOST_RAISERS:]
    pair = replace(known, ran_out=(), raised=Raised(lack.chunk, job.memory_bytes), raised_by=raised_by)
    return _larger(pair, largest)


def is_to_be_tried(job: Job, chunk: str) -> bool:
    """Whether the house is to render this chunk now."""
    return job.raised is not None and job.raised.chunk == chunk


def houses(job: Job, chunk: str, attempt: str, peak_bytes: int) -> Job:
    """What the house's attempt of the doubted chunk took."""
    if job.raised is None or job.raised.chunk != chunk or peak_bytes <= 0:
        return job
    return replace(job, raised=replace(job.raised, attempt=attempt, peak_bytes=peak_bytes))


def tried(job: Job, chunk: Chunk) -> Job:
    """When the house has finished the doubted chunk and it is known what that took: the guess is what it was, or stays raised."""
    raised = job.raised
    if raised is None or raised.chunk != chunk.chunk or not has_ended(chunk, raised.attempt, Ending.FINISHED):
        return job
    was_wrong = raised.peak_bytes <= raised.before
    return replace(job, raised=None, memory_bytes=raised.before if was_wrong else job.memory_bytes)


def _larger(job: Job, largest: int) -> Decided:
    """Twice as much, but not more than any machine has; then only the largest ones may try, and its renter reads why."""
    wanted = min(job.memory_bytes * 2, MOST_MEMORY)
    if not largest or wanted <= largest:
        return replace(job, memory_bytes=wanted), []
    job = replace(job, memory_bytes=max(job.memory_bytes, largest))
    return jobs.remarked(
        job, f"its frames ran out of memory; only the farm's largest machines ({_gib(largest)}) may try them now"
    )


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


def _learned(job: Job) -> int | None:
    if not any(one.house for one in job.memory_peaks) and len(job.memory_peaks) < 2:
        return None
    return max(LEAST_MEMORY, max(one.peak_bytes for one in job.memory_peaks) * MARGIN_PERCENT // 100)
