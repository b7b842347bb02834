"""What a lender says to his machine from afar: typed by him, heard by the scheduler and by the machine itself."""

import json

from contracts.events import AgentChanged, AgentOrder, AgentOrdered
from tests.integration.lending_stage import Lending, Machine, machine, the_lending  # noqa: F401
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
        await until(lambda: _says(lending, laptop, "it was told to disable"), "the machine knows")

        done = await lending.framelend(lena, "agents", "enable", laptop.id, "--json")
        assert json.loads(done.said)["order"] == "enable"
        await until(lambda: _says(lending, laptop, "docker"), "the machine knows again what keeps it")
        assert not await _says(lending, laptop, "it was told to")

        await lending.framelend(lena, "agents", "stop", laptop.id)
        await until(lambda: _says(lending, laptop, "no agent is running"), "the program has ended")
    told = lending.world.said(AgentOrdered, agent=laptop.id)
    assert [event.order for event in told] in ([], [AgentOrder.DISABLE, AgentOrder.ENABLE, AgentOrder.STOP])


async def _says(lending: Lending, found: Machine, words: str) -> bool:
    done = await lending._run(machine(found.home), "-m", "agent.cli", "status")
    return words in done.said
