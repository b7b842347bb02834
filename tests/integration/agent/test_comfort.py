"""A lender's life with his agent: he comes back, he leaves, he wants the machine, and every time the agent says why it waits."""

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contracts.events import (
    AgentOrder,
    AgentOrdered,
    AgentReady,
    ChunkCompleted,
    ChunkReleased,
    FramesCompleted,
    FramesRendered,
    Release,
)
from contracts.values import Acceptance
from tests.integration.agent.goods import Store, a_bundle
from tests.integration.agent.home import Home
from tests.integration.agent.stage import BENCH, Stage
from tests.integration.world import Process, World
from tests.waiting import until

RULES = """
[limits]
upload_mbit = 80
download_mbit = 80

[pause]
idle_minutes = 0.02
on_battery = true

[accept]
minimum_price = 0.5
by_hand = true
"""
CHEAP, FAIR = 100_000, 600_000
WANTED: dict[str, Any] = {"price": FAIR, "chosen": True}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def home(world: World, store: Store, image: str, tmp_path_factory: pytest.TempPathFactory) -> Home:
    agent, secret = await world.an_agent()
    keys = {"1": bytes.fromhex(world.farm["FARM_GRANT_KEY"])}
    home = Home(Stage(world, store, image, agent, secret, tmp_path_factory.mktemp("lender"), keys))
    home.settings(RULES)
    return home


async def started(home: Home, **extra: str) -> Process:
    """Ready: the person has been away for a second."""
    home.stage.process = await home.stage.start(**home.roots(), **extra)
    await until(lambda: _readies(home) and _readies(home)[-1].slots == 1, "ready", 120)
    return home.stage.process


def _readies(home: Home) -> list[AgentReady]:
    heard = home.stage.world.heard
    return [event for key, event in heard if isinstance(event, AgentReady) and key.startswith(f"{home.stage.agent}.")]


async def test_the_machine_is_his_when_he_comes_back_and_the_same_container_goes_on_when_he_leaves(
    home: Home, scenes: Path
) -> None:
    await started(home)
    stage = home.stage
    assignment = await stage.assign(a_bundle(scenes / "bench_1s"), 1, 2, 3, picture=BENCH, **WANTED)
    await stage.hear(FramesRendered, assignment)
    container = stage.containers()
    async with home.typing():
        await until(lambda: home.frozen() == [True], "the container stands still")
        await until(lambda: _readies(home)[-1].slots == 0, "no slot is offered")
        assert "somebody is at the machine" in _readies(home)[-1].reason
        status = await home.status()
        assert status["state"] == "frozen"
        assert "somebody is at the machine" in status["reasons"][0]
        assert [one["text"] for one in status["attempts"]] == ["paused by its lender"]
        assert status["unknown"] == ["whether it runs on battery"]
        assert stage.containers() == container
    await until(lambda: _readies(home)[-1].slots == 1, "he has left")
    await stage.hear(ChunkCompleted, assignment)
    assert sorted(set(stage.frames_said(FramesRendered, assignment))) == [1, 2, 3]
    assert not stage.said(ChunkReleased, assignment)
    assert "today: 3 frames rendered" in await home.command("status")


async def test_work_below_his_price_is_refused_and_his_status_says_so(home: Home, scenes: Path) -> None:
    assignment = await home.stage.assign(a_bundle(scenes / "ok_small"), 1, price=CHEAP, chosen=True)
    released = await home.stage.hear(ChunkReleased, assignment)
    assert released.reason is Release.REFUSED
    refused = (await home.status())["refused"]
    assert [one["job"] for one in refused] == [assignment.grant.job]
    assert "0.5 credits per WU" in refused[0]["why"]
    assert _readies(home)[-1].accepts == Acceptance(minimum_price=500_000, by_hand=True)


async def test_work_he_has_not_said_yes_to_is_refused_and_his_status_says_where_he_can(home: Home, scenes: Path) -> None:
    assignment = await home.stage.assign(a_bundle(scenes / "ok_small"), 1, **{**WANTED, "chosen": False})
    released = await home.stage.hear(ChunkReleased, assignment)
    assert (released.reason, "chooses by hand" in released.text) == (Release.REFUSED, True)
    assert "`framelend offers`" in (await home.status())["reasons"][0]


async def test_a_frozen_container_can_be_cancelled(home: Home, scenes: Path) -> None:
    stage = home.stage
    assignment = await stage.rendering(a_bundle(scenes / "slow"), 1, **WANTED)
    async with home.typing():
        await until(lambda: home.frozen() == [True], "the container stands still")
        await stage.world.say("scheduler", stage.cancel(assignment))
        await until(lambda: not stage.containers(), "the cancelled container is gone")
    await until(lambda: _readies(home)[-1].slots == 1, "he has left")


async def test_an_agent_killed_while_its_container_stood_still_leaves_none_behind(home: Home, scenes: Path) -> None:
    stage = home.stage
    assert stage.process is not None
    await stage.rendering(a_bundle(scenes / "slow"), 1, **WANTED)
    async with home.typing():
        await until(lambda: home.frozen() == [True], "the container stands still")
        stage.process.kill()
    await started(home, FRAMELEND_PAUSE__GIVE_BACK_MINUTES="0.02")
    assert not stage.containers()


async def test_what_he_keeps_is_given_back_as_an_interruption_with_finished_frames_delivered(home: Home, scenes: Path) -> None:
    stage = home.stage
    assignment = await stage.assign(a_bundle(scenes / "bench_1s"), *range(1, 40), picture=BENCH, **WANTED)
    await stage.hear(FramesRendered, assignment)
    assert "paused by hand" in await home.command("pause")
    released = await stage.hear(ChunkReleased, assignment)
    assert (released.reason, released.text) == (Release.STOPPED, "paused by its lender")
    assert set(stage.frames_said(FramesCompleted, assignment)) == set(stage.frames_said(FramesRendered, assignment)) != set()
    await until(lambda: not stage.containers(), "the container is gone")
    await home.asked("resume")
    await until(lambda: _readies(home)[-1].slots == 1, "lent again")


async def test_told_from_afar_to_stop_the_program_ends_in_order(home: Home, scenes: Path) -> None:
    process = home.stage.process
    assert process is not None
    told = {"agent": home.stage.agent, "by": "owner-1"}
    await home.stage.world.say("scheduler", AgentOrdered(order=AgentOrder.DRAIN, revision=1, **told))

    async def is_known() -> bool:
        return any("told to drain" in reason for reason in (await home.status())["reasons"])

    await until(is_known, "the status names the order")
    await home.stage.world.say("scheduler", AgentOrdered(order=AgentOrder.STOP, revision=2, **told))
    await until(process.ended, "the program has ended")
    assert process.stop() == 0
    assert "no agent is running" in await home.command("status", code=1)


async def test_the_doctor_finds_this_machine_fit_and_names_what_is_wrong_with_another(home: Home) -> None:
    told = await home.command("doctor")
    for line in ("ok  Docker", "ok  render image", "ok  container: runs with every lock", "ok  broker", "ok  store and clock"):
        assert line in told, told
    home.settings("[pause]\nabove_celsius = 300\nidle_minuts = 5\n")
    told = await home.command("doctor", code=78)
    assert "pause.above_celsius" in told
    assert "pause.idle_minuts: there is no such setting" in told
