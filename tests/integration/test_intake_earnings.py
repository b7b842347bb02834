"""What a lender sees of his machines and of what they earn."""

from contracts import events as e
from tests.integration.intake_stage import (  # noqa: F401
    Person,
    Stage,
    the_renter,
    the_stage,
    the_stranger,
)
from tests.waiting import until


async def test_what_agents_earn_is_absolute_and_seen_by_their_owner(stage: Stage, renter: Person) -> None:
    lender = await stage.a_person("lender")
    job = await stage.a_held_job(renter)
    await stage.world.say("scheduler", e.AgentChanged(agent="machine-1", owner=lender.id, state="online", revision=3, cores=1.5))
    await stage.world.say("scheduler", e.AgentEnrolled(agent="machine-1", owner=lender.id, name="Lena's"))
    await stage.world.say("scheduler", e.AgentChanged(agent="machine-1", owner=lender.id, state="offline", revision=2))
    await stage.world.say("billing", *[_charged(job, renter.id, lender.id, revision) for revision in (1, 3, 2)])

    async def earned() -> bool:
        return bool((await lender.get("/v1/earnings")).json()["earned"] == "0.3")

    async def machine() -> bool:
        agents = (await lender.get("/v1/agents")).json()
        told = [(one["id"], one["name"], one["state"], one["cores"]) for one in agents]
        return told == [("machine-1", "Lena's", "online", 1.5)]

    async def shown() -> bool:
        view = (await renter.get(f"/v1/jobs/{job}")).json()
        return bool(view["charged"] == "0.3" and view["agents"] and view["agents"][0]["earned"] == "0.3")

    await until(earned, "the third sum is shown")
    await until(machine, "the agent is shown as the newest word says")
    await until(shown, "the renter sees it too")
    await stage.world.say("billing", _charged(job, renter.id, lender.id, 2))
    found = (await lender.get("/v1/earnings")).json()
    assert (found["frames"], found["agents"][0]["jobs"], found["jobs"][0]["final"]) == (3, 1, False)
    other = await stage.a_held_job(renter)
    await stage.world.say("billing", _charged(other, renter.id, lender.id, 1))
    await until(lambda: _newest(lender, other), "what changed last comes first")
    await stage.world.say("billing", _charged(job, renter.id, lender.id, 4))
    await until(lambda: _newest(lender, job), "also when it is not new")


async def _newest(lender: Person, job: str) -> bool:
    return bool((await lender.get("/v1/earnings")).json()["jobs"][0]["job"] == job)


def _charged(job: str, renter: str, lender: str, revision: int) -> e.JobCharged:
    one = e.AgentCharge(agent="machine-1", owner=lender, frames=revision, micro_wu=revision, earned_micro=revision * 100_000)
    return e.JobCharged(
        job=job, account=renter, revision=revision, charged_micro=revision * 100_000, frames=revision, agents=(one,)
    )
