"""A lender sees what the attempts on his machines take, nobody else does; real broker, intake and its database."""

from typing import Any

from contracts import events as e
from tests.integration.intake_stage import Person, Stage, the_stage  # noqa: F401
from tests.waiting import until


def sampled(attempt: str, memory: int, last: bool = False) -> e.ResourcesSampled:
    taken = e.Resources(cpu_seconds=3.5, cores=1.5, memory_bytes=memory, memory_peak_bytes=memory)
    return e.ResourcesSampled(job="j", chunk="c", attempt=attempt, resources=taken, last=last)


async def test_a_lender_sees_what_his_machine_does_until_it_has_ended_and_others_do_not(stage: Stage) -> None:
    owner, other = await stage.a_person("lender"), await stage.a_person("lender")
    agent = (await stage.world.an_agent())[0]
    await stage.world.say("scheduler", e.AgentEnrolled(agent=agent, owner=owner.id, name="attic"))
    await stage.world.say(agent, sampled("one", 100), sampled("two", 200))
    await shown(owner, agent, {"one": 100, "two": 200})
    await stage.world.say(agent, sampled("one", 300))
    await shown(owner, agent, {"one": 300, "two": 200})
    refused = await other.get(f"/v1/agents/{agent}/resources")
    assert refused.status_code == 404
    assert refused.json()["type"].endswith("no-such-agent")
    assert (await stage.operator.get(f"/v1/agents/{agent}/resources")).status_code == 200

    await stage.world.say(agent, sampled("two", 200, last=True))
    await shown(owner, agent, {"one": 300})


async def test_a_machine_that_invents_attempts_fills_nothing(stage: Stage) -> None:
    owner = await stage.a_person("lender")
    agent = (await stage.world.an_agent())[0]
    await stage.world.say("scheduler", e.AgentEnrolled(agent=agent, owner=owner.id, name="liar"))
    await stage.world.say(agent, *(sampled(f"invented-{number}", number) for number in range(150)))  # more would be a flood
    await stage.world.say(agent, sampled("the-last-one", 1_000))
    samples = stage.world.database("intake")["samples"]

    async def heard() -> bool:
        return bool(await samples.count_documents({"agent": agent, "body": {"$regex": "the-last-one"}}) == 1)

    await until(heard, "everything was heard", 20)
    assert await samples.count_documents({"agent": agent}) <= 64


async def shown(owner: Person, agent: str, peaks: dict[str, int]) -> None:
    """Attempt → its peak: waits until just these are shown, and nothing but what attempts take."""
    found = list[dict[str, Any]]()

    async def so() -> bool:
        answer = await owner.get(f"/v1/agents/{agent}/resources")
        found[:] = answer.json() if answer.status_code == 200 else []
        return {one["attempt"]: one["resources"]["memory_peak_bytes"] for one in found} == peaks

    await until(so, f"{peaks} are shown", 20)
    assert all(set(one) == {"attempt", "resources"} for one in found)
