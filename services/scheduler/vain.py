"""What comes to nothing on the house agent. It is the last that can try: when it cannot even begin, the job ends with a word to
its renter. Otherwise it would go on for ever with a bundle that never arrives, and say nothing.
"""

import structlog

from services.scheduler.desk import Desk
from services.scheduler.domain import job as jobs
from services.scheduler.domain import tries, words
from services.scheduler.domain.chunk import Chunk

log = structlog.get_logger()


async def ending(desk: Desk, chunk: Chunk, has_time: bool = True) -> bool:
    """The holder is about to lose the chunk (without `has_time`: because its own is over). True when it is the house agent. The
    job is written first: a crash before the chunk is written repeats it."""
    assert chunk.holder is not None
    agent = await desk.agents.get(chunk.holder.agent)
    if agent is None or not agent.house:
        return False
    if await _is_final(desk, chunk.chunk, chunk.holder.attempt, has_time):
        log.warning("the house agent cannot begin", job=chunk.job, chunk=chunk.chunk, agent=agent.agent, kind=chunk.kind)
        said = words.in_vain(chunk.kind)
        await desk.job(chunk.job, lambda job, _: jobs.failed(job, "machine_fault", said, words.IN_VAIN_HINT))
    return True


async def _is_final(desk: Desk, chunk: str, attempt: str, has_time: bool) -> bool:
    """By what the chunk is now: a frame may have been stored since it was read, and a job fails for good."""
    known, now = await desk.chunks.get(chunk), await desk.now()
    if known is None or not (has_time or tries.has_run_out(known, attempt, now)):
        return False
    after = tries.in_vain(known, attempt, now)
    return after is not known and tries.is_hopeless(after, now, desk.policy)
