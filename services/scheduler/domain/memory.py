"""How much memory a job's frames need: guessed at inspection, then learned from what attempts really took.

Learning only lowers the guess: no attempt can take more than it was given, and a lender who exaggerates must not keep a job from
others. One who belittles costs the others a try: so a peak counts when the house has seen it or two lenders of different owners,
the largest counts, with a margin for frames nobody has seen, and the first attempt that runs out of memory ends learning. Once
two owners' machines ran out, the guess itself is doubled, so that not every chunk has to find that out for itself.
"""

from dataclasses import replace

from services.scheduler.domain.job import Job, MemoryPeak
from services.scheduler.domain.picture import LEAST_MEMORY

MARGIN_PERCENT = 150
MOST_OWNERS = 8
DOUBTING_OWNERS = 2
MOST_MEMORY = 1 << 44


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


def ran_out(job: Job, owner: str) -> Job:
    """An attempt had too little: what was learned is wrong for some of its frames, and perhaps what was guessed."""
    owners = tuple(dict.fromkeys((*job.ran_out, owner)))
    known = replace(job, ran_out_of_memory=True, memory_peaks=(), ran_out=owners)
    if len(owners) < DOUBTING_OWNERS:
        return known
    return replace(known, ran_out=(), memory_bytes=min(job.memory_bytes * 2, MOST_MEMORY))


def _learned(job: Job) -> int | None:
    if not any(one.house for one in job.memory_peaks) and len(job.memory_peaks) < 2:
        return None
    return max(LEAST_MEMORY, max(one.peak_bytes for one in job.memory_peaks) * MARGIN_PERCENT // 100)
