"""Whatever the scheduler asks its database is answered by an index: the database itself keeps the plan of every query."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.topology import SCHEDULER
from contracts.values import Audience, Limits
from services.chassis.repository import New
from services.scheduler.domain.matching import Board
from services.scheduler.domain.states import ChunkState, JobState
from services.scheduler.repository import Agents, Chunks, Jobs
from services.scheduler.repository.choices import Choices
from services.scheduler.repository.farm import Farms
from services.scheduler.repository.quotes import Quotes
from services.scheduler.waiting import MOST, Waiting
from tests.bench.enrolled import scheduler_stores
from tests.integration.world import World
from tests.unit.scheduler.builders import IMAGE, NOW, POLICY, a_chunk, a_holder, a_sampled_job, a_submission, an_agent, later

Asked = Mapping[str, Callable[[Any], Awaitable[Any]]]
LATER = datetime.now(UTC) + timedelta(days=1)
TOMORROW = LATER + timedelta(days=1)
QUERIES: Mapping[type, Asked] = {
    Jobs: {
        "get": lambda jobs: jobs.get("job"),
        "get_many": lambda jobs: jobs.get_many({"job", "other"}),
        "read_many": lambda jobs: jobs.read_many(["job"]),
        "recall_many": lambda jobs: jobs.recall_many(["nobody"]),
        "working": lambda jobs: jobs.working(),
        "held_up_beyond": lambda jobs: jobs.held_up_beyond(LATER),
        "with_cuts": lambda jobs: jobs.with_cuts(),
        "nearly_rendered": lambda jobs: jobs.nearly_rendered(),
        "not_working": lambda jobs: jobs.not_working(["job"]),
        "leaving_out": lambda jobs: jobs.leaving_out(),
        "counts": lambda jobs: jobs.counts(),
    },
    Agents: {
        "get": lambda agents: agents.get("ann"),
        "read_many": lambda agents: agents.read_many(["ann"]),
        "recall_many": lambda agents: agents.recall_many(["nobody"]),
        "current": lambda agents: agents.current(["ann"]),
        "heard": lambda agents: agents.heard(),
        "reachable": lambda agents: agents.reachable(),
        "silent": lambda agents: agents.silent(LATER),
        "note_heard": lambda agents: agents.note_heard({"ann": NOW}),
        "unsettled": lambda agents: agents.unsettled(),
        "unheard": lambda agents: agents.unheard(),
        "is_revoked": lambda agents: agents.is_revoked("ann"),
        "counts": lambda agents: agents.counts(),
    },
    Chunks: {
        "get": lambda chunks: chunks.get("chunk"),
        "read_many": lambda chunks: chunks.read_many(["chunk"]),
        "recall_many": lambda chunks: chunks.recall_many(["nothing"]),
        "current": lambda chunks: chunks.current(["chunk"]),
        "existing": lambda chunks: chunks.existing(["chunk"]),
        "queued": lambda chunks: asyncio.gather(*(chunks.queued(["job", "other"], 10, house) for house in (None, False, True))),
        "open_of": lambda chunks: chunks.open_of("job"),
        "held_of": lambda chunks: chunks.held_of(["job"]),
        "at_work": lambda chunks: chunks.at_work(),
        "any_open": lambda chunks: chunks.any_open("job"),
        "jobs_with_open": lambda chunks: chunks.jobs_with_open(),
        "jobs_queued": lambda chunks: chunks.jobs_queued(),
        "overdue": lambda chunks: chunks.overdue(LATER),
        "done_before": lambda chunks: chunks.done_before(LATER),
        "held": lambda chunks: chunks.held(LATER),
        "tally": lambda chunks: chunks.tally("job"),
        "counts": lambda chunks: chunks.counts(),
    },
    Farms: {"get": lambda farms: farms.get()},
    Choices: {
        "standing": lambda choices: choices.standing(),
        "accepted": lambda choices: choices.accepted("owner"),
        "forget": lambda choices: choices.forget(LATER),
    },
    Quotes: {"get": lambda quotes: quotes.get("job", 1), "newest": lambda quotes: quotes.newest(10)},
}
WRITES = frozenset(
    {"add", "add_many", "insert", "save", "write", "update", "update_or_add", "decide", "tell", "now", "keep", "control"}
)
"""By id, or of nothing that is looked for."""
FINISHED = 200
"""Chunks whose agents have just said that they are done, of another job: nobody asks about them."""


async def test_every_question_is_answered_by_an_index_that_leads_to_what_is_asked(world: World) -> None:
    database = world.database(SCHEDULER)
    kept = await _kept(world)
    await database.command("profile", 2)
    for repository in kept:
        for ask in QUERIES[type(repository)].values():
            await ask(repository)
        await repository.store.announce_leftovers(timedelta(days=-1))
    assert await _scanned(database) == []
    assert await _walked(database) == []
    await database["jobs"].find_one({"account": "somebody"})
    await database["chunks"].find_one({"state": ChunkState.RENDERING, "holder.agent": "somebody"})
    await database.command("profile", 0)
    (control,) = await _scanned(database)
    assert control["filter"] == {"account": "somebody"}, "a question without an index is noticed"
    (control,) = await _walked(database)
    assert control["filter"]["holder.agent"] == "somebody", "an index that leads to everything is noticed"


async def test_of_jobs_that_are_held_up_those_are_read_whose_deadlines_are_over_and_nobody_has_been_told(world: World) -> None:
    """And not kept in mind: the memory is for the working ones, of which none leaves it for them."""
    jobs = (await scheduler_stores(world)).jobs
    over, paused = later(-60), dict[str, Any](state=JobState.PAUSED)
    asked = {at: a_submission(limits=Limits(deadline=at)) for at in (over, later(60))}
    kept: dict[str, dict[str, Any]] = {
        "late": {"asked": asked[over], **paused}, "told": {"asked": asked[over], "missed": over, **paused},
        "early": {"asked": asked[later(60)], **paused}, "free": paused, "works": {"asked": asked[over]},
    }  # fmt: skip
    for id, changes in kept.items():
        await jobs.store.add(id, a_sampled_job(job=id, **changes))
    assert [one.job for one in await jobs.held_up_beyond(NOW)] == ["late"]
    assert {one.job for one in await jobs.held_up_beyond(later(61))} == {"late", "early"}, "control"


async def test_processes_that_upgrade_a_farm_together_drop_its_former_indexes_once(world: World) -> None:
    kept = [await scheduler_stores(world) for _ in range(4)]
    collection = kept[0].chunks.store.collection
    for former in (["job"], ["holder.hard_end"], ["holder.done_at"], ["state", "job", "opened_at"]):
        await collection.create_index([(field, 1) for field in former])
    await asyncio.gather(*(one.chunks.ensure_indexes() for one in kept))
    names = {"job_1", "holder.hard_end_1", "holder.done_at_1", "state_1_job_1_opened_at_1"}
    assert not names & set(await collection.index_information())


async def test_a_chunk_behind_hundreds_that_nobody_may_take_is_seen(world: World) -> None:
    """Control: it is not among the oldest."""
    kept = await scheduler_stores(world)
    old = [New(f"old-{at}", a_chunk(chunk=f"old-{at}", job="crowd")) for at in range(MOST)]
    await kept.chunks.store.add_many([*old, New("wanted", a_chunk(chunk="wanted", job="honest", opened_at=LATER))])
    of_crowd = a_submission(job="crowd", allows=(Audience.OWN,))
    jobs = {"crowd": a_sampled_job(job="crowd", asked=of_crowd), "honest": a_sampled_job(job="honest")}
    assert "wanted" not in {saved.id for saved in await kept.chunks.queued(jobs, MOST)}
    waiting = Waiting(kept.chunks)
    await waiting.read(Board(LATER, POLICY, IMAGE, jobs, [an_agent()], []))
    assert "wanted" in waiting.chunks


def test_no_question_is_left_out() -> None:
    for repository, asked in QUERIES.items():
        said = {name for name, _ in inspect.getmembers(repository, inspect.iscoroutinefunction) if not name.startswith("_")}
        assert said - WRITES - {"ensure_indexes"} == asked.keys(), repository.__name__


async def _kept(world: World) -> list[Any]:
    """The repositories as the service makes them, with something in each."""
    kept, database = await scheduler_stores(world), world.database(SCHEDULER)
    await kept.prepare()
    for store in (kept.jobs, kept.chunks, kept.agents, kept.farms, kept.choices, kept.quotes):
        await store.store.pending.ensure_indexes()
    await kept.jobs.store.add("job", a_sampled_job(job="job"))
    await kept.agents.store.add("ann", an_agent())
    await kept.chunks.store.add("chunk", a_chunk(state=ChunkState.RENDERING, holder=a_holder(done_at=NOW), stored=1))
    done: dict[str, Any] = {"state": ChunkState.RENDERING, "holder": a_holder(done_at=TOMORROW)}
    await kept.chunks.store.add_many([New(name, a_chunk(chunk=name, job="other", **done)) for name in map(str, range(FINISHED))])
    await database["choices"].insert_one({"_id": "one", "state": "over"})
    await database["farm"].insert_one({"_id": "other"})
    return [kept.jobs, kept.chunks, kept.agents, kept.farms, kept.choices, kept.quotes]


async def _scanned(database: Any) -> list[dict[str, Any]]:
    """What read a collection from one end to the other, but for the profile itself."""
    query = {"planSummary": {"$regex": "COLLSCAN"}, "ns": {"$not": {"$regex": "system"}}}
    return [one["command"] | {"ns": one["ns"]} async for one in database["system.profile"].find(query)]


async def _walked(database: Any) -> list[dict[str, Any]]:
    """What looked at documents that nobody asked about."""
    query = {"docsExamined": {"$gte": FINISHED}, "ns": {"$not": {"$regex": "system"}}}
    return [one["command"] | {"ns": one["ns"]} async for one in database["system.profile"].find(query)]
