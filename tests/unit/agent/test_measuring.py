"""When a machine is measured and looked at: not while its owner has it, and soon again when something was wrong."""

import asyncio
import dataclasses
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import psutil
import pytest
import pytest_asyncio

from agent.desk import Desk
from agent.domain.comfort import Cause, Mood, Objection, Stance
from agent.process import Processes
from agent.settings import AgentSettings
from agent.standing import DISK_FULL, ENGINE_SECONDS, NOT_MEASURED, Standing, health
from agent.workplace import Workplace
from agent.yielding import Yielding
from contracts.events import AgentReady, Event
from tests.unit.agent.builders import IMAGE
from tests.unit.agent.test_keeping import a_place
from tests.waiting import until

FRAME = """
import os, pathlib, time
here = pathlib.Path(__file__).parent
(here / "new").write_text(str(os.getpid()))
(here / "new").rename(here / "began")
while not (here / "may-end").exists():
    time.sleep(0.05)
print('{"event": "benchmark", "cpu_seconds": 2.0, "seconds": 1.0}', flush=True)
"""


class Ahead(Workplace):
    """Whose clock can be put forward. `told`: why it takes no work, as often as it said whether it does."""

    by = 0.0
    told: list[str]

    async def say(self, event: Event, trace: Mapping[str, str]) -> bool:
        assert isinstance(event, AgentReady)
        self.told.append(event.reason)
        return True

    def now(self) -> float:
        return super().now() + self.by


class Held(Processes):
    """A look at it ends when it may."""

    asked = False

    def __init__(self, place: Workplace) -> None:
        super().__init__(place.journal.home(), place.settings, "")
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def lacking(self) -> tuple[str, ...]:
        self.asked = True
        await self.may_answer.wait()
        return await super().lacking()


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Ahead]:
    """Its benchmark frame takes until it `may-end`."""
    async with httpx.AsyncClient() as http:
        plain = a_place(tmp_path / "home", http)
        place = Ahead(**{field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)})
        place.told = []
        driver = tmp_path / "driver"
        driver.mkdir()
        (driver / "benchmark.py").write_text(FRAME)
        own = {"agent_image": IMAGE, "agent_driver": driver, "agent_blender_python": Path(sys.executable)}
        place.settings = AgentSettings.model_validate({**place.settings.model_dump(), **own})
        place.engine = Held(place)
        yield place
        await place.engine.sweep(frozenset)
        place.journal.close()


def driver(place: Workplace) -> Path:
    assert place.settings.agent_driver is not None
    return place.settings.agent_driver


def is_running(place: Workplace) -> bool:
    try:
        return psutil.Process(int((driver(place) / "began").read_text())).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def a_look(standing: Standing) -> "asyncio.Task[None]":
    looking = asyncio.create_task(standing.look_after_engine())
    await until(lambda: standing.looked, "it was looked at", 30)
    return looking


async def test_while_it_is_paused_it_is_not_measured_and_it_is_as_soon_as_it_is_lent(place: Workplace) -> None:
    desk = Desk(place)
    yielding, standing = Yielding(place, desk), Standing(place, desk, "run", "0")
    yielding.pause(None)
    looking = await a_look(standing)
    assert standing.wrong == NOT_MEASURED
    assert not (driver(place) / "began").exists()
    assert health(standing, None) == [], "nothing is wrong with it"
    desk.wanted.clear()

    (driver(place) / "may-end").touch()
    yielding.resume()
    await until(lambda: standing.wrong is None, "it is measured", 30)
    assert desk.wanted.is_set()
    assert place.folders.benchmark.exists()
    looking.cancel()


@pytest.mark.parametrize(("cause", "goes_on"), [(Cause.PERSON, False), (Cause.LOAD, True)])
async def test_who_comes_back_meanwhile_does_not_wait_for_it_but_the_load_it_makes_itself_does_not_end_it(
    place: Workplace, cause: Cause, goes_on: bool
) -> None:
    desk = Desk(place)
    standing = Standing(place, desk, "run", "0")
    looking = asyncio.create_task(a_look(standing))
    await until((driver(place) / "began").exists, "it is being measured", 30)
    assert is_running(place)
    mood = Mood(Stance.FROZEN, objections=(Objection(cause, "so it is"),))
    desk.resting, desk.is_owners = mood.reason, mood.is_owners
    if goes_on:
        (driver(place) / "may-end").touch()
    (await asyncio.wait_for(looking, 30)).cancel()
    assert standing.wrong == (None if goes_on else NOT_MEASURED)
    assert place.folders.benchmark.exists() is goes_on
    await until(lambda: not is_running(place), "nothing of it runs", 30)


@pytest_asyncio.fixture
async def lending(place: Ahead) -> AsyncIterator[Standing]:
    """Looked at, measured, and it says whether it takes work."""
    standing = Standing(place, Desk(place), "run", "0")
    (driver(place) / "may-end").touch()
    tasks = (await a_look(standing), asyncio.create_task(standing.tell_ready()))
    await until(lambda: place.told and place.told[-1] != DISK_FULL, "it takes work")
    yield standing
    for task in tasks:
        task.cancel()


async def found_full(place: Ahead, standing: Standing) -> None:
    place.journal.reserve.full = True
    standing._desk.wanted.set()
    await until(lambda: place.told[-1] == DISK_FULL, "it says that it takes no work")


async def test_a_disk_found_full_between_two_looks_is_looked_at_again_as_soon_as_one_found_full_at_a_look(
    place: Ahead, lending: Standing
) -> None:
    await found_full(place, lending)
    place.by = ENGINE_SECONDS / 3
    await until(lambda: place.told[-1] != DISK_FULL, "there is room again", ENGINE_SECONDS / 3)


async def test_what_is_said_during_a_look_is_not_forgotten_when_the_look_found_nothing(place: Ahead, lending: Standing) -> None:
    assert isinstance(place.engine, Held)
    place.engine.asked = False
    place.engine.may_answer.clear()
    place.by = ENGINE_SECONDS + 1
    await until(lambda: isinstance(place.engine, Held) and place.engine.asked, "a look")
    await found_full(place, lending)
    place.engine.may_answer.set()
    said = len(place.told)
    await until(lambda: len(place.told) > said, "after the look it is said again how it stands", ENGINE_SECONDS / 3)
    place.by += ENGINE_SECONDS / 3
    await until(lambda: place.told[-1] != DISK_FULL, "there is room again", ENGINE_SECONDS / 3)
