"""How fast this machine is: the benchmark frame of the render image, locked down like any render, its median kept per image."""

import contextlib
import json
import statistics
from pathlib import Path

from pydantic import ValidationError

from agent.container import BENCHMARK, Engine
from agent.domain.admission import MIN_MEMORY_BYTES
from agent.domain.claims import Measured, NonsenseClaim, read_claim
from agent.lockdown import Spec
from contracts.bus import new_id
from contracts.values import MICRO, Benchmark


class BenchmarkFailed(Exception):
    """The frame did not render; the text holds the container's last words."""


async def measured(engine: Engine, image: str, agent: str, cpus: float, kept: Path) -> Benchmark:
    """From `kept` when it was measured before with this image and as many CPUs. Raises BenchmarkFailed, EngineAway."""
    key = f"{image} {cpus}"
    if found := _read(kept, key):
        return found
    benchmark = _median(await _run(engine, Spec(image, BENCHMARK, agent, f"benchmark-{new_id()}", cpus, 2 * MIN_MEMORY_BYTES)))
    _keep(kept, key, benchmark)
    return benchmark


async def _run(engine: Engine, spec: Spec) -> list[Measured]:
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
