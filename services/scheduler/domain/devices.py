"""Which device of an agent renders a chunk: its CPU, or one of its GPUs where the renter allows it and it pays.

Only ordinary rendering goes to GPUs. What a job costs is found out on CPUs, whose work is counted in CPU seconds; a GPU earns by
the same curve as everybody, and how fast its agent is is learned from the curve and the clock.
"""

from collections.abc import Collection

from contracts.values import Gpu, Kind
from services.scheduler.domain import job as jobs
from services.scheduler.domain.agent import Agent, benchmark_of
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.job import Job
from services.scheduler.domain.memory import need


def gpu_for(job: Job, chunk: Chunk, agent: Agent, given: Collection[str], image: str) -> str:
    """The id of the fastest free GPU that beats the agent's CPU and has room for the scene; "" for the CPU. `given` are those
    given away in this round, `image` is the GPU image."""
    if not image or image not in agent.images or chunk.kind is not Kind.RENDER or not jobs.settings(job).gpu:
        return ""
    taken = {*given, *(hand.gpu for hand in agent.hands if not hand.ending)}
    wanted, cpu = need(job, chunk.memory_factor), benchmark_of(agent).wall_micros
    offered = agent.hardware.gpus if agent.hardware else ()
    fit = [gpu for gpu in offered if gpu.id and gpu.id not in taken and gpu.memory_bytes >= wanted and _wall(gpu) < cpu]
    return min(fit, key=_wall).id if fit else ""


def _wall(gpu: Gpu) -> int:
    return gpu.benchmark.wall_micros if gpu.benchmark else 1 << 62
