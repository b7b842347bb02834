"""The lender's rule about heat knows his lent cards too, through what nvidia-smi says."""

import asyncio
from pathlib import Path

import httpx
import pytest

from agent.desk import Desk
from agent.domain import gpus
from agent.domain.comfort import Stance
from agent.gpus import Gpus
from agent.resources import Meters
from agent.settings import AgentSettings
from agent.yielding import Yielding
from contracts.values import Gpu
from tests.unit.agent.machine_tree import Tree
from tests.unit.agent.test_gpu import ONE, OURS, TWO, a_program
from tests.unit.agent.test_keeping import a_place
from tests.waiting import until

HOT, COOL = OURS.replace("86, 45,", "86, 91,"), OURS
"""The first card's degrees; the second one's are 61, and it tells of nothing else."""


async def stance(folder: Path, said: str, *lent: str, above: float | None = 80.0, processor: int = 50_000) -> tuple[Stance, str]:
    """How a machine stands after one look at cards that say this."""
    tree = Tree(folder / "machine")
    tree.chip(1, "k10temp", processor)
    async with httpx.AsyncClient() as http:
        place = a_place(folder / "agent", http)
        roots = {"agent_proc_root": tree.proc, "agent_sys_root": tree.sys, "agent_dev_root": tree.dev}
        pause = {"above_celsius": above}
        place.settings = AgentSettings.model_validate({**place.settings.model_dump(), **roots, "pause": pause})
        place.meters = Meters(Gpus(a_program(folder, f"printf '%s' '{said}'")))
        desk = Desk(place)
        desk.gpus = tuple(Gpu(name="a card", memory_bytes=1, id=id) for id in lent)
        yielding = Yielding(place, desk)
        await yielding.feel_cards()
        yielding.look()
        place.journal.close()
    return yielding.mood.stance, yielding.mood.reason


async def test_a_lent_card_that_is_too_hot_stops_the_lending_though_the_processor_is_cool(tmp_path: Path) -> None:
    assert await stance(tmp_path, HOT, ONE, TWO) == (Stance.FROZEN, "it is 91 °C hot; it is lent again below 70 °C")


@pytest.mark.parametrize(
    ("said", "lent", "above"),
    [(COOL, (ONE, TWO), 80.0), (HOT, (TWO,), 80.0), (HOT, (), 80.0), (HOT, (ONE, TWO), None), ("", (ONE, TWO), 80.0)],
    ids=["it is cool", "it is not lent", "none is lent", "there is no such rule", "the driver is lost"],
)
async def test_it_goes_on_where_the_rule_does_not_hold(
    tmp_path: Path, said: str, lent: tuple[str, ...], above: float | None
) -> None:
    assert await stance(tmp_path, said, *lent, above=above) == (Stance.LENDING, "")


async def test_the_hotter_of_processor_and_cards_counts(tmp_path: Path) -> None:
    assert (await stance(tmp_path, COOL, ONE, processor=85_000))[1].startswith("it is 85 °C hot")


async def test_an_agent_that_runs_feels_its_cards_by_itself(tmp_path: Path) -> None:
    async with httpx.AsyncClient() as http:
        place = a_place(tmp_path / "agent", http)
        told = {"agent_sys_root": tmp_path / "none", "pause": {"above_celsius": 80.0}}
        place.settings = AgentSettings.model_validate({**place.settings.model_dump(), **told})
        place.meters = Meters(Gpus(a_program(tmp_path, f"printf '%s' '{HOT}'")))
        desk = Desk(place)
        desk.gpus = (Gpu(name="a card", memory_bytes=1, id=ONE),)
        yielding = Yielding(place, desk)
        running = asyncio.create_task(yielding.run())
        await until(lambda: "91 °C" in yielding.mood.reason, "it yields to the heat", 30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        place.journal.close()


def test_a_card_that_tells_its_heat_and_not_its_use_is_felt_and_nonsense_is_not() -> None:
    _, second = gpus.cards(gpus.rows(OURS))
    assert (second.use, second.celsius) == (None, 61.0)
    (broken,) = gpus.cards(gpus.rows(OURS.splitlines()[0].replace(", 45,", ", 4500,")))
    assert broken.celsius is None
    assert gpus.hottest([second, broken], {ONE, TWO}) == 61.0
    assert gpus.hottest([second, broken], {ONE}) is None
