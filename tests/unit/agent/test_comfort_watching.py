"""The owner's rules are looked at as soon as there is work, whenever they would have been looked at without it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import httpx

from agent.desk import Desk
from agent.domain.comfort import Stance
from agent.settings import AgentSettings
from agent.yielding import Yielding
from tests.unit.agent.builders import IMAGE, a_grant, an_assignment
from tests.unit.agent.machine_tree import Tree
from tests.unit.agent.test_keeping import WANTED, a_place
from tests.unit.agent.test_moving import an_archive
from tests.waiting import until

SOON = datetime(2100, 1, 1, tzinfo=UTC)


async def test_a_chunk_that_begins_between_two_looks_stands_still_at_once_when_a_rule_says_so(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "machine")
    tree.chip(1, "k10temp", 50_000)
    async with httpx.AsyncClient() as http:
        place = a_place(tmp_path / "agent", http)
        await place.cache.add(WANTED, an_archive(tmp_path / "a.zip", 400))
        told = {"agent_proc_root": tree.proc, "agent_sys_root": tree.sys, "agent_dev_root": tree.dev}
        rules = {"pause": {"above_celsius": 80.0}, "agent_keep_free_bytes": 0}
        place.settings = AgentSettings.model_validate({**place.settings.model_dump(), **told, **rules})
        desk = Desk(place)
        desk.images = (IMAGE,)
        yielding = Yielding(place, desk, idle_seconds=3_600.0)
        before = yielding.facts
        watching = asyncio.create_task(yielding.run())
        await until(lambda: yielding.facts is not before, "it has looked, and will not look again for an hour")

        tree.chip(1, "k10temp", 91_000)
        assert not desk.resting
        desk.take(an_assignment(grant=a_grant(1, bundle=WANTED, until=SOON)), {}, None)
        assert desk.busy()
        await until(lambda: yielding.mood.stance is Stance.FROZEN, "it stands still", 30)
        assert [one.text for one in desk.in_hand()] == ["paused by its lender"]

        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        desk.stop()
        await place.background.finish(10)
        place.journal.close()
