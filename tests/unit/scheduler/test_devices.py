"""Which chunks go to GPUs: only what the renter allows, only where it pays, and each GPU once."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.values import Benchmark, Gpu, Hardware, Kind, RenderSettings
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.devices import gpu_for
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.job import Job
from tests.unit.scheduler.builders import GIB, IMAGE, a_chunk, a_sampled_job, an_agent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GPU_IMAGE = "sha256:" + "f" * 64
FAST, SLOW = Benchmark(cpu_micros=50_000, wall_micros=40_000), Benchmark(cpu_micros=50_000, wall_micros=90_000)
CPU = Benchmark(cpu_micros=950_000, wall_micros=500_000)
ONE = Gpu(name="one", memory_bytes=8 * GIB, id="GPU-1", benchmark=SLOW)
TWO = Gpu(name="two", memory_bytes=8 * GIB, id="GPU-2", benchmark=FAST)


def a_willing_job(**changes: Any) -> Job:
    job = a_sampled_job(memory_bytes=2 * GIB, **changes)
    assert job.asked is not None
    return replace(job, asked=job.asked.model_copy(update={"settings": RenderSettings(gpu=True)}))


def with_gpus(*gpus: Gpu, **changes: Any) -> Agent:
    hardware = Hardware(cores=4, memory_bytes=16 * GIB, gpus=gpus)
    return an_agent(**{"hardware": hardware, "images": (IMAGE, GPU_IMAGE), "benchmark": CPU, "slots": 2, **changes})


def test_the_fastest_gpu_is_taken_when_the_renter_allows_it() -> None:
    assert gpu_for(a_willing_job(), a_chunk(1), with_gpus(ONE, TWO), (), GPU_IMAGE) == TWO.id


def test_a_gpu_is_given_once() -> None:
    busy = with_gpus(ONE, TWO, hands=(Hand("a", "c", "j", NOW, gpu=TWO.id),))
    assert gpu_for(a_willing_job(), a_chunk(1), busy, (), GPU_IMAGE) == ONE.id
    assert gpu_for(a_willing_job(), a_chunk(1), busy, (ONE.id,), GPU_IMAGE) == ""
    ending = with_gpus(TWO, hands=(Hand("a", "c", "j", NOW, gpu=TWO.id, ending=True),))
    assert gpu_for(a_willing_job(), a_chunk(1), ending, (), GPU_IMAGE) == TWO.id


@pytest.mark.parametrize(
    "agent",
    [
        with_gpus(),
        with_gpus(TWO, images=(IMAGE,)),
        with_gpus(TWO, benchmark=Benchmark(cpu_micros=1_000, wall_micros=1_000)),
        with_gpus(TWO.model_copy(update={"benchmark": None})),
        with_gpus(TWO.model_copy(update={"memory_bytes": GIB})),
        with_gpus(TWO.model_copy(update={"id": ""})),
    ],
    ids=["none", "no image", "slower than its CPU", "not measured", "too small", "no id"],
)
def test_without_a_fitting_gpu_the_cpu_renders(agent: Agent) -> None:
    assert gpu_for(a_willing_job(), a_chunk(1), agent, (), GPU_IMAGE) == ""


def test_neither_against_the_renters_will_nor_without_an_image_nor_for_samples() -> None:
    agent = with_gpus(TWO)
    assert gpu_for(a_sampled_job(memory_bytes=2 * GIB), a_chunk(1), agent, (), GPU_IMAGE) == ""
    assert gpu_for(a_willing_job(), a_chunk(1), agent, (), "") == ""
    assert gpu_for(a_willing_job(), a_chunk(1, kind=Kind.SAMPLE), agent, (), GPU_IMAGE) == ""
