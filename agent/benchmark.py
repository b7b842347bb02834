"""How fast this machine is: the benchmark frame of the render image, locked down like any render, its median kept per image."""

import asyncio
import contextlib
import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import ValidationError

from agent.container import BENCHMARK, Engine, EngineRefused
from agent.domain.admission import MIN_MEMORY_BYTES
from agent.domain.claims import Measured, NonsenseClaim, read_claim
from agent.domain.gpus import Card
from agent.lockdown import Spec
from agent.process import Processes
from contracts.bus import new_id
from contracts.values import MICRO, Benchmark

log = structlog.get_logger()


LOOK_SECONDS = 0.25
May = Callable[[bool], bool]
"""Whether the owner's rules let a measurement begin, or, when it is (True) under way, go on."""


class BenchmarkFailed(Exception):
    """The frame did not render; the text holds the container's last words."""


class NotNow(Exception):
    """Its owner has the machine: it is not measured behind his back, and a crowd's figure would be kept for long."""


async def measured(engine: Engine | Processes, image: str, agent: str, cpus: float, kept: Path, may: May) -> Benchmark:
    """From `kept` when it was measured before with this image and as many CPUs. At normal priority, for a few seconds: what
    counts is the machine, not the moment's crowd. Raises BenchmarkFailed, NotNow, EngineAway."""
    key = f"{image} {cpus}"
    if found := _read(kept, key):
        return found
    spec = Spec(image, BENCHMARK, agent, f"benchmark-{new_id()}", cpus, 2 * MIN_MEMORY_BYTES, lowest=False)
    benchmark = _median(await _run(engine, spec, may))
    _keep(kept, key, benchmark)
    return benchmark


async def measured_gpu(
    engine: Engine | Processes, image: str, agent: str, card: Card, folder: Path, may: May
) -> Benchmark | None:
    """Of one GPU; kept below `folder` while image and driver stay. None when it fails: then the farm does not use that GPU.
    Raises NotNow, EngineAway."""
    kept, key = folder / f"benchmark-{card.id}.json", f"{image} {card.driver}"
    if found := _read(kept, key):
        return found
    command, name, memory = (*BENCHMARK, "gpu"), f"benchmark-{new_id()}", 4 * MIN_MEMORY_BYTES
    try:
        spec = Spec(image, command, agent, name, float(os.cpu_count() or 1), memory, lowest=False, gpu=card.id)
        runs = await _run(engine, spec, may)
    except (BenchmarkFailed, EngineRefused) as failed:
        log.warning("a GPU is not lent: its benchmark frame did not render", gpu=card.name, why=str(failed))
        return None
    benchmark = _median(runs)
    _keep(kept, key, benchmark)
    return benchmark


async def _run(engine: Engine | Processes, spec: Spec, may: May) -> list[Measured]:
    if not may(False):
        raise NotNow
    rendering = asyncio.create_task(_rendered(engine, spec))
    try:
        while not (await asyncio.wait((rendering,), timeout=LOOK_SECONDS))[0]:
            if not may(True):
                raise NotNow
        return rendering.result()
    finally:
        rendering.cancel()
        await asyncio.gather(rendering, return_exceptions=True)


async def _rendered(engine: Engine | Processes, spec: Spec) -> list[Measured]:
    running = await engine.start(spec)
    try:
        found: list[Measured] = []
        while (line := await running.line()) is not None:
            claim = read_claim(line)
            if isinstance(claim, Measured):
                found.append(claim)
        ended = await running.wait()
        if ended.code != 0 or not found:
            raise BenchmarkFailed(f"exit code {ended.code}: {ended.stderr[-500:]}")
        return found
    except NonsenseClaim as wrong:
        raise BenchmarkFailed(str(wrong)) from None
    finally:
        await running.remove()


def _median(runs: list[Measured]) -> Benchmark:
    cpu, wall = statistics.median(run.cpu_seconds for run in runs), statistics.median(run.seconds for run in runs)
    return Benchmark(cpu_micros=round(cpu * MICRO), wall_micros=round(wall * MICRO))


def _keep(kept: Path, key: str, benchmark: Benchmark) -> None:
    with contextlib.suppress(OSError):  # it is measured again after a restart, then
        kept.write_text(json.dumps({key: benchmark.model_dump()}), encoding="utf-8")


def _read(kept: Path, key: str) -> Benchmark | None:
    try:
        return Benchmark.model_validate(json.loads(kept.read_text(encoding="utf-8"))[key])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None
