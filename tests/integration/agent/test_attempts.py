"""What an agent makes of what it is given: renders, inspections, probes, samples."""

import hashlib
from pathlib import Path
from uuid import uuid4

import httpx

from contracts.events import (
    AgentReady,
    BundleRequested,
    ChunkCompleted,
    ChunkReleased,
    FramesCompleted,
    FramesRendered,
    InspectionReported,
    ProbeMeasured,
)
from contracts.values import Kind
from tests.integration.agent.goods import a_bundle
from tests.integration.agent.stage import Stage
from tests.integration.world import Process
from tests.scenes.pixels import pixel_sha256
from tests.waiting import until


async def test_an_agent_says_that_it_is_ready_with_what_it_measured(stage: Stage, running: Process) -> None:
    said = [fact for key, fact in stage.world.heard if key.startswith(f"{stage.agent}.") and isinstance(fact, AgentReady)]
    ready = said[0]
    assert ready.slots == 1
    assert ready.images == (stage.image,)
    assert ready.benchmark is not None
    assert ready.attempts == ()


async def test_a_chunk_is_rendered_uploaded_and_completed(stage: Stage, running: Process, scenes: Path, tmp_path: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 1, 3, 8)
    await stage.hear(ChunkCompleted, assignment)
    assert sorted(stage.frames_said(FramesCompleted, assignment)) == [1, 3, 8]
    claims = {claim.frame: claim for said in stage.said(FramesRendered, assignment) for claim in said.frames}
    assert sorted(claims) == [1, 3, 8]
    for frame, claim in claims.items():
        path = tmp_path / f"{frame}.png"
        path.write_bytes(stage.store.get(f"{assignment.grant.attempt}/{frame}"))
        assert hashlib.sha256(path.read_bytes()).hexdigest() == claim.file_sha256
        assert pixel_sha256(path) == claim.pixel_sha256
        assert claim.cpu_micros > 0
    await until(lambda: not stage.containers(), "no container is left")


async def test_a_bundle_that_is_here_is_not_asked_for_again(stage: Stage, running: Process, scenes: Path) -> None:
    bundle = a_bundle(scenes / "ok_small")
    first = await stage.assign(bundle, 2)
    await stage.hear(ChunkCompleted, first)
    second = await stage.assign(bundle, 4)
    await stage.hear(ChunkCompleted, second)
    assert not stage.said(BundleRequested, second)


async def test_an_assignment_that_comes_twice_is_rendered_once_and_one_that_comes_early_waits(
    stage: Stage, running: Process, scenes: Path
) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 5)
    await stage.world.say("scheduler", assignment)
    after = await stage.assign(a_bundle(scenes / "ok_small"), 6)
    await stage.hear(ChunkCompleted, assignment)
    await stage.hear(ChunkCompleted, after)
    assert stage.frames_said(FramesRendered, assignment) == [5]
    assert not stage.said(ChunkReleased, assignment)


async def test_the_trace_of_the_assignment_goes_on_to_the_container_and_the_upload(
    stage: Stage, running: Process, scenes: Path
) -> None:
    trace = uuid4().hex
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 8, trace={"traceparent": f"00-{trace}-{'1' * 16}-01"})
    await stage.hear(ChunkCompleted, assignment)
    wanted = {"attempt", "bundle", "container", "frame", "upload"}
    async with httpx.AsyncClient() as http:

        async def spans() -> set[str]:
            answer = await http.get(f"{stage.world.farm.http('TRACEBOX')}/api/traces/{trace}")
            return {span["name"] for span in answer.json()} if answer.is_success else set()

        async def complete() -> bool:
            return wanted <= await spans()

        await until(complete, f"spans {wanted} of trace {trace}")


async def test_an_inspection_reports_what_the_file_is(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), kind=Kind.INSPECT)
    report = await stage.hear(InspectionReported, assignment)
    assert (report.facts.engine, report.facts.frame_start, report.facts.frame_end) == ("CYCLES", 1, 8)
    assert (report.facts.width, report.facts.height, report.facts.has_camera) == (192, 108, True)
    await stage.hear(ChunkCompleted, assignment)


async def test_an_inspection_of_no_blend_reports_blenders_words(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "not_a_blend"), kind=Kind.INSPECT)
    report = await stage.hear(InspectionReported, assignment)
    assert report.facts is None
    assert "cannot_open" in report.error
    await stage.hear(ChunkCompleted, assignment)


async def test_a_probe_is_measured_and_its_picture_thrown_away(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 3, kind=Kind.PROBE, scale_percent=50)
    measured = await stage.hear(ProbeMeasured, assignment)
    assert (measured.frame, measured.scale_percent) == (3, 50)
    assert measured.cpu_micros > 0
    await stage.hear(ChunkCompleted, assignment)
    assert not stage.said(FramesRendered, assignment)


async def test_metrics_and_health_are_on_loopback(stage: Stage, running: Process) -> None:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{running.url}/metrics")).text
        assert (await http.get(f"{running.url}/health")).json()["ok"] is True
    assert "framelend_agent_ready 1.0" in text
    assert stage.agent not in text
