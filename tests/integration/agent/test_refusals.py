"""What an agent refuses, and what it calls whose fault."""

from pathlib import Path

from contracts.events import (
    ChunkFailed,
    ChunkReleased,
    Fault,
    FramesRendered,
    Release,
)
from contracts.values import Kind, Picture
from tests.integration.agent.goods import a_bundle
from tests.integration.agent.stage import Stage
from tests.integration.world import Process


async def test_a_scene_without_a_camera_is_the_scenes_fault(stage: Stage, running: Process, scenes: Path) -> None:
    failed = await stage.hear(ChunkFailed, await stage.assign(a_bundle(scenes / "no_camera"), 1))
    assert failed.fault is Fault.SCENE
    assert "camera" in failed.text


async def test_a_picture_of_another_size_than_agreed_is_not_sent(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 1, picture=Picture(width=192, height=109))
    failed = await stage.hear(ChunkFailed, assignment)
    assert (failed.fault, failed.frame) == (Fault.MACHINE, 1)
    assert not stage.said(FramesRendered, assignment)


async def test_a_scene_that_needs_too_much_memory_is_told_apart(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "subdivision_bomb"), 1, memory_bytes=1_000_000_000)
    assert (await stage.hear(ChunkFailed, assignment)).fault is Fault.MEMORY


async def test_a_sample_over_its_budget_is_stopped_and_measured(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "slow"), 1, kind=Kind.SAMPLE, budget_seconds=3)
    failed = await stage.hear(ChunkFailed, assignment)
    assert failed.fault is Fault.TIME
    assert failed.cpu_micros > 0


async def test_another_image_than_agreed_is_refused(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 1, image="sha256:" + "0" * 64)
    assert (await stage.hear(ChunkReleased, assignment)).reason is Release.REFUSED


async def test_a_grant_of_another_agent_is_refused(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 1, grant_agent="agent-else")
    assert (await stage.hear(ChunkReleased, assignment)).reason is Release.REFUSED
