"""Orders, broken links, crashes: an attempt is stopped or goes on, and what is finished is delivered."""

import asyncio
from pathlib import Path

import httpx

from agent.control import ask
from contracts.bus import Announcement
from contracts.events import (
    AgentReady,
    ChunkCompleted,
    ChunkReleased,
    FarmChanged,
    FarmOrder,
    FramesCompleted,
    FramesRendered,
    Release,
)
from contracts.topology import MAILBOXES
from tests.integration.agent.goods import a_bundle
from tests.integration.agent.stage import BENCH, Stage
from tests.integration.world import Process
from tests.waiting import until


async def test_a_cancelled_attempt_stops_its_container_and_the_agent_is_ready_again(
    stage: Stage, running: Process, scenes: Path
) -> None:
    assignment = await stage.rendering(a_bundle(scenes / "slow"), 1)
    before = len(stage.world.said(AgentReady))
    await stage.world.say("scheduler", stage.cancel(assignment))
    await until(lambda: not stage.containers(), "the container is gone")
    await until(lambda: stage.world.said(AgentReady)[before:], "ready again")
    assert stage.world.said(AgentReady)[-1].attempts == ()


async def test_a_stopped_farm_ends_every_container_here_whatever_the_scheduler_says_of_attempts(
    stage: Stage, running: Process, scenes: Path
) -> None:
    await stage.rendering(a_bundle(scenes / "slow"), 1)
    other = FarmChanged(agent=f"{stage.agent}-2", order=FarmOrder.STOP, revision=7)
    await (await stage.world.announcer("scheduler")).publish(MAILBOXES, stage.agent, Announcement(other).message("scheduler"))
    await stage.world.say("scheduler", FarmChanged(agent=stage.agent, order=FarmOrder.PAUSE, revision=1))
    await until(lambda: _says(stage, "paused by its operator"), "its owner is told")
    assert stage.containers(), "a paused farm finishes what is in hand; another machine's order is nothing to us"
    await stage.world.say("scheduler", FarmChanged(agent=stage.agent, order=FarmOrder.STOP, revision=2))
    await until(lambda: not stage.containers(), "the container is gone")
    await stage.world.say("scheduler", FarmChanged(agent=stage.agent, order=FarmOrder.RESUME, revision=3))
    await until(lambda: not _says(stage, "its operator"), "it goes on")


async def test_a_render_survives_a_lost_connection_to_the_broker(stage: Stage, running: Process, scenes: Path) -> None:
    before = len(stage.world.said(AgentReady))
    assignment = await stage.rendering(a_bundle(scenes / "bench_1s"), 1, 2, picture=BENCH)
    stage.cut_off()
    await stage.hear(ChunkCompleted, assignment)
    assert sorted(set(stage.frames_said(FramesCompleted, assignment))) == [1, 2]
    assert not stage.said(ChunkReleased, assignment)
    await until(lambda: stage.world.said(AgentReady)[before:], "ready is said again after the reconnect")


async def test_a_machine_that_the_farm_puts_out_is_told_so_and_comes_back_when_it_is_let_in(
    stage: Stage, running: Process
) -> None:
    await stage.world.put_out(stage.agent)
    await until(lambda: _says(stage, "the farm refuses this machine"), "its owner is told", 60)
    async with httpx.AsyncClient(trust_env=False) as client:
        told = await client.get(f"{running.url}/health")
    assert (told.status_code, "quarantined" in told.text) == (503, True)
    await stage.world.let_in(stage.agent, stage.secret)
    await until(lambda: ask(stage.folder / "home", {"order": "status"})["connected"], "it is in again", 60)
    assert not _says(stage, "the farm refuses this machine")


async def test_an_upload_url_that_is_refused_is_asked_for_again_without_rendering_again(
    stage: Stage, running: Process, scenes: Path
) -> None:
    stage.spoil_next_url = True
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 7)
    await stage.hear(ChunkCompleted, assignment)
    told = stage.said(FramesRendered, assignment)
    assert len(told) >= 2
    assert len({said.frames[0].file_sha256 for said in told}) == 1


async def test_after_a_kill_no_container_is_left_and_finished_frames_are_delivered(
    stage: Stage, running: Process, scenes: Path
) -> None:
    stage.withholding = True
    assignment = await stage.assign(a_bundle(scenes / "bench_1s"), *range(1, 40), picture=BENCH)
    await stage.hear(FramesRendered, assignment)
    running.kill()
    await until(lambda: not stage.running(), "the container ends with its agent, before the next one looks", 10)
    finished = set(stage.frames_said(FramesRendered, assignment))
    stage.withholding = False
    stage.process = await stage.start()
    assert not stage.containers()
    assert (await stage.hear(ChunkReleased, assignment)).reason is Release.STOPPED
    assert finished <= set(stage.frames_said(FramesCompleted, assignment))


async def test_an_agent_that_is_told_to_stop_gives_its_chunk_back(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.rendering(a_bundle(scenes / "slow"), 1)
    assert await asyncio.to_thread(running.stop) == 0
    assert not stage.containers()
    assert (await stage.hear(ChunkReleased, assignment)).reason is Release.STOPPED
    await until(lambda: [one.slots for one in stage.world.said(AgentReady)][-1] == 0, "the agent takes leave")


def _says(stage: Stage, words: str) -> bool:
    """What `framelend-agent status` gives as reasons."""
    return any(words in reason for reason in ask(stage.folder / "home", {"order": "status"})["reasons"])
