"""The benchmark frame is rendered again only when what was measured has changed. Docker is out of reach: who asks it, fails."""

import json
from pathlib import Path

import pytest

from agent.benchmark import NotNow, measured, measured_gpu
from agent.container import Engine, EngineAway
from agent.domain.gpus import Card
from contracts.values import Benchmark

IMAGE, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
KEPT = Benchmark(cpu_micros=900_000, wall_micros=500_000)
CARD = Card("GPU-22b2c6ac-2d49-4863-197c-9c469071178a", "GeForce RTX 2080", 8 << 30, "440.64")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    return Engine("home")


def always(_: bool) -> bool:
    """His rules let it."""
    return True


def keep(path: Path, key: str, body: object = None) -> Path:
    path.write_text(json.dumps({key: body if body is not None else KEPT.model_dump()}))
    return path


async def test_what_was_measured_with_this_image_and_as_many_cpus_is_kept(engine: Engine, tmp_path: Path) -> None:
    kept = keep(tmp_path / "benchmark.json", f"{IMAGE} 2.0")
    assert await measured(engine, IMAGE, "agent-1", 2.0, kept, always) == KEPT


@pytest.mark.parametrize(("image", "cpus"), [(OTHER, 2.0), (IMAGE, 1.0)], ids=["another image", "another limit"])
async def test_another_image_or_limit_is_measured_anew(engine: Engine, tmp_path: Path, image: str, cpus: float) -> None:
    kept = keep(tmp_path / "benchmark.json", f"{IMAGE} 2.0")
    with pytest.raises(EngineAway):
        await measured(engine, image, "agent-1", cpus, kept, always)


@pytest.mark.parametrize("body", ["nonsense", {"cpu_micros": 0, "wall_micros": 1}, {"cpu_micros": 900_000}])
async def test_what_cannot_be_read_is_measured_anew(engine: Engine, tmp_path: Path, body: object) -> None:
    kept = keep(tmp_path / "benchmark.json", f"{IMAGE} 2.0", body)
    with pytest.raises(EngineAway):
        await measured(engine, IMAGE, "agent-1", 2.0, kept, always)


async def test_a_gpus_measurement_is_kept_while_image_and_driver_stay(engine: Engine, tmp_path: Path) -> None:
    keep(tmp_path / f"benchmark-{CARD.id}.json", f"{IMAGE} {CARD.driver}")
    assert await measured_gpu(engine, IMAGE, "agent-1", CARD, tmp_path, always) == KEPT
    newer = Card(CARD.id, CARD.name, CARD.memory_bytes, "535.129.03")
    with pytest.raises(EngineAway):
        await measured_gpu(engine, IMAGE, "agent-1", newer, tmp_path, always)


async def test_what_was_measured_before_is_known_also_while_the_owner_has_the_machine(engine: Engine, tmp_path: Path) -> None:
    kept = keep(tmp_path / "benchmark.json", f"{IMAGE} 2.0")
    assert await measured(engine, IMAGE, "agent-1", 2.0, kept, lambda _: False) == KEPT
    with pytest.raises(NotNow):
        await measured(engine, IMAGE, "agent-1", 1.0, kept, lambda _: False)
    with pytest.raises(NotNow):
        await measured_gpu(engine, IMAGE, "agent-1", CARD, tmp_path, lambda _: False)
