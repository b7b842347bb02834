"""Failures of the program in the container: our driver with one thing gone wrong, or something else in its place."""

import asyncio
import itertools
import os
from dataclasses import replace
from functools import partial

from agent.domain.attempt import Ending, completed
from agent.domain.evidence import Complaint, Evidence
from agent.domain.verdicts import verdict
from tests.failures import programs
from tests.failures.ward import Patient, Provoke, Ward

GPU_MEMORY = """00:11.204  cycles           | ERROR System is out of GPU and shared host memory
Error: System is out of GPU and shared host memory
"""
GPU_DRIVER = """Illegal address in CUDA queue copy_from_device (integrator_init_from_camera integrator_intersect_closest)

Refer to the Cycles GPU rendering documentation for possible solutions:
https://docs.blender.org/manual/en/latest/render/cycles/gpu_rendering.html
"""


def _runs(program: str, scene: str = "ok_small", *frames: int) -> Provoke:
    return lambda ward: ward.fail(scene, *frames, program=program)


async def _waits(ward: Ward) -> Ending:
    """That the cores of this machine stand idle meanwhile is played: tests beside this one may want them."""
    proc, ticks = ward.folders.root / "idle", os.sysconf("SC_CLK_TCK")
    proc.mkdir()

    async def idle(_: Patient) -> None:
        for second in itertools.count():
            (proc / "stat").write_text(f"cpu  9 0 9 {(1_000 + 2 * second) * ticks} 0 0 0 0 0 0\n")
            await asyncio.sleep(1)

    return await ward.fail(program=programs.WAIT, meddle=idle, proc=proc, max_seconds_per_frame=12)


async def _no_output(ward: Ward) -> Ending:
    """Without room for pictures /out is the read-only root's."""
    return await ward.fail(shape=lambda spec: replace(spec, picture_bytes=0))


async def _recorded(_: Ward, log: str) -> Ending:
    """As the driver says it when the render operator raises, with the log as Cycles prints it."""
    said = Complaint("cannot_render", 1, f"Error: {log.splitlines()[0].removeprefix('00:11.204  cycles           | ERROR ')}")
    ending = verdict(Evidence(4, False, 2_000_000_000, done=False, frame=1, complaint=said, log=log))
    assert ending != completed()
    return ending


BY_PROGRAM: dict[str, Provoke] = {
    "crash_on_one_frame": _runs(programs.SEGFAULT_AT_2, "ok_small", 1, 2, 3),
    "abort_in_blender": _runs(programs.ABORT),
    "fills_its_output": _runs(programs.FILL_OUTPUT),
    "allocation_refused": _runs(programs.FEW_ADDRESSES, "subdivision_bomb"),
    "gpu_memory": partial(_recorded, log=GPU_MEMORY),
    "graphics_driver": partial(_recorded, log=GPU_DRIVER),
    "output_not_writable": _no_output,
    "picture_cut_off": _runs(programs.SMALL_FILES),
    "blender_does_not_load": _runs(programs.NO_BLENDER),
    "driver_raises": _runs(programs.RAISE),
    "nonsense_task": _runs(programs.NONSENSE_TASK),
    "speaks_nonsense": _runs(programs.NONSENSE),
    "no_more_processes": _runs(programs.NO_PROCESSES),
    "hung_and_idle": lambda ward: ward.fail(program=programs.HANG, max_seconds_per_frame=600, patience=300),
    "waits_and_says_progress": _waits,
    "ends_but_does_not_exit": _runs(programs.NEVER_EXITS),
}
