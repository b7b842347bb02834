"""The machine is its owner's from the first moment of its agent: what he says while the broker is away holds, then and later."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.control import ask
from agent.desk import Desk
from agent.domain.comfort import Stance
from agent.entrance import AWAY
from agent.yielding import ByHand, Yielding
from tests.unit.agent.test_keeping import a_place
from tests.unit.agent.test_opening import a_machine, answered
from tests.waiting import until


@asynccontextmanager
async def an_agent(folder: Path) -> AsyncIterator[Path]:
    """Its folder, while it waits for its broker."""
    env = {"PATH": os.environ["PATH"], **a_machine(folder)}
    words = (sys.executable, "-m", "agent.cli", "run")
    process = await asyncio.create_subprocess_exec(*words, env=env, stdout=asyncio.subprocess.DEVNULL)
    try:
        await until(lambda: answered(folder / "home"), "the agent answers its owner", 60)
        yield folder / "home"
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def said(home: Path, **request: Any) -> dict[str, Any]:
    told = await asyncio.to_thread(ask, home, request)
    return {name: told[name] for name in ("state", "reasons", "error") if name in told}


WAITS = f"{AWAY}; it is tried again all the time"


async def test_a_pause_while_the_broker_is_away_holds_and_so_does_its_end(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as home:
        assert await said(home, order="status") == {"state": "not ready", "reasons": [WAITS]}
        assert await said(home, order="pause") == {"state": "not ready", "reasons": [WAITS, "paused by hand"]}
        assert ByHand(home / "paused.json").words() == "paused by hand"
        assert await said(home, order="pause", minutes=-1) == {"error": "minutes must be a number above 0"}
        assert await said(home, order="stand still") == {"error": "there are only status, pause and resume"}
    async with an_agent(tmp_path) as home:
        assert (await said(home, order="status"))["reasons"] == [WAITS, "paused by hand"], "after a restart"
        assert await said(home, order="resume") == {"state": "not ready", "reasons": [WAITS]}
        assert ByHand(home / "paused.json").words() is None


@pytest.mark.parametrize("is_kept", [True, False])
async def test_what_was_paused_before_there_was_work_takes_none_afterwards(tmp_path: Path, is_kept: bool) -> None:
    """Also when the disk was too full to keep it."""
    async with httpx.AsyncClient() as http:
        place = a_place(tmp_path / "home", http)
        by_hand = ByHand.of(place.folders) if is_kept else ByHand(tmp_path / "gone" / "paused.json")
        by_hand.pause(None)
        yielding = Yielding(place, Desk(place), by_hand)
        assert (yielding.mood.stance is Stance.LENDING, yielding.mood.reason) == (False, "paused by hand")
        yielding.resume()
        assert (yielding.mood.stance, by_hand.words()) == (Stance.LENDING, None)
        place.journal.close()
