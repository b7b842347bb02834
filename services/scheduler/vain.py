"""What comes to nothing on the house agent. It is the last that can try: when it cannot even begin, the job ends with a word to
its renter. Otherwise it would go on for ever with a bundle that never arrives, and say nothing.
"""

import structlog

from services.scheduler.desk import Desk
from services.scheduler.domain import job as jobs
from services.scheduler.domain import tries, words
from services.scheduler.domain.chunk import Chunk

log = structlog.get_logger()


async def ending(desk: Desk, chunk: Chunk) -> bool:
    """The holder is about to lose the chunk, and nothing has come of it. True when it is the house agent. The job is written
    first: a crash before the chunk is written repeats it."""
    assert chunk.holder is not None
    agent = await desk.agents.get(chunk.holder.agent)
    if agent is None or not agent.house:
        return False
    now = await desk.now()
    if tries.is_hopeless(tries.in_vain(chunk, chunk.holder.attempt, now), now, desk.policy):
        log.warning("the house agent cannot begin", job=chunk.job, chunk=chunk.chunk, agent=agent.agent, kind=chunk.kind)
        said = words.in_vain(chunk.kind)
        await desk.job(chunk.job, lambda job, _: jobs.failed(job, "machine_fault", said, words.IN_VAIN_HINT))
    return True
