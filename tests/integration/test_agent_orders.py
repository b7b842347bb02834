"""What a lender says to his machine from afar: typed by him, heard by the scheduler and by the machine itself."""

import asyncio
import json

import httpx

from agent.control import NotRunning, ask
from contracts.events import AgentChanged
from contracts.topology import SCHEDULER
from tests.integration.lending_stage import Lending, Machine, the_lending  # noqa: F401
from tests.waiting import until


async def test_orders_reach_the_scheduler_and_the_machine_and_everybody_says_why_there_is_no_work(lending: Lending) -> None:
    lena, eve = await lending.a_person("lender"), await lending.a_person("lender")
    laptop = await lending.a_machine(lena)
    with lending.running(laptop):
        await lending.world.hear(AgentChanged, agent=laptop.id, state="draining")
        assert "docker" in (await lending.framelend(lena, "agents", "list")).said
        refused = await lending.framelend(eve, "agents", "disable", laptop.id)
        assert refused.code == 1, refused.said

        done = await lending.framelend(lena, "agents", "disable", laptop.id)
        assert (done.code, "is suspended" in done.said) == (0, True), done.said
        await until(lambda: _says(laptop, "it was told to disable"), "the machine knows")

        done = await lending.framelend(lena, "agents", "enable", laptop.id, "--json")
        assert json.loads(done.said)["order"] == "enable"
        await until(lambda: _says_no_more(laptop, "it was told to"), "the machine knows that too")
        assert await _says(laptop, "docker")

        await lending.framelend(lena, "agents", "stop", laptop.id)
        await until(lambda: _is_silent(laptop), "the program has ended")


async def test_the_operators_order_to_the_farm_reaches_every_machine_and_outlives_the_scheduler(lending: Lending) -> None:
    lena = await lending.a_person("lender")
    laptop = await lending.a_machine(lena)
    with lending.running(laptop):
        await lending.world.hear(AgentChanged, agent=laptop.id, state="draining")
        refused = await lending.framelend(lena, "ops", "stop")
        assert (refused.code, "role" in refused.said) == (1, True), refused.said
        try:
            done = await lending.framelend(lending.operator, "ops", "stop")
            assert (done.code, "is stopped by its operator" in done.said) == (0, True), done.said
            await until(lambda: _says(laptop, "the farm is stopped by its operator"), "the machine knows")
            lending.services[SCHEDULER].kill()
            await lending.start(SCHEDULER)
            assert await lending.count(SCHEDULER, "framelend_scheduler_farm", order="stop") == 1, "before anything is given out"
            health = await asyncio.to_thread(httpx.get, f"{lending.services[SCHEDULER].url}/health", timeout=10)
            assert (health.status_code, "stopped by its operator" in health.json()["notes"][0]) == (200, True)
        finally:
            done = await lending.framelend(lending.operator, "ops", "resume-all")
        assert "The farm is at work" in done.said
        await until(lambda: _says_no_more(laptop, "the farm is stopped"), "the machine knows that too")


async def _reasons(found: Machine) -> str:
    told = await asyncio.to_thread(ask, found.home / ".local/share/framelend/agent", {"order": "status"})
    return "; ".join(told["reasons"])


async def _says(found: Machine, words: str) -> bool:
    return words in await _reasons(found)


async def _says_no_more(found: Machine, words: str) -> bool:
    return words not in await _reasons(found)


async def _is_silent(found: Machine) -> bool:
    try:
        await _reasons(found)
    except NotRunning:
        return True
    return False
