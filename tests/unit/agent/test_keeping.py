"""A bundle stays in the cache from the moment its attempt looks for it until its container has ended, also while it waits."""

import asyncio
from pathlib import Path
from typing import Any, cast

import httpx

from agent.bundle import BundleCache
from agent.container import Engine
from agent.domain import machine, signals
from agent.domain.attempt import Phase
from agent.journal import Journal
from agent.outbox import Outbox
from agent.runner import Runner
from agent.settings import AgentSettings
from agent.traces import AttemptTrace
from agent.uploads import Uploader
from agent.workplace import Folders, Workplace
from tests.unit.agent.builders import a_grant, an_assignment
from tests.unit.agent.test_moving import an_archive
from tests.waiting import until

WANTED, OTHER, THIRD = ("a" * 64, "b" * 64, "c" * 64)


def a_place(home: Path, http: httpx.AsyncClient) -> Workplace:
    """Without a broker, which an attempt with its bundle at hand does not need, and without a free slot."""
    folders, nobody = Folders(home), cast(Any, None)
    folders.clear()
    journal = Journal(folders.journal)
    settings = AgentSettings(agent_file=home / "agent.json", agent_dir=home)
    return Workplace(
        agent="agent-1",
        settings=settings,
        folders=folders,
        engine=Engine("home"),
        cache=BundleCache(folders.cache, most_bytes=500, keep_free_bytes=0),
        journal=journal,
        outbox=Outbox(journal, nobody),
        announcer=nobody,
        http=http,
        uploader=Uploader(http),
        slots=asyncio.Semaphore(0),
    )


async def test_the_bundle_of_an_attempt_that_waits_for_its_slot_is_not_evicted_and_afterwards_it_is(tmp_path: Path) -> None:
    async with httpx.AsyncClient() as http:
        place = a_place(tmp_path, http)
        await place.cache.add(WANTED, an_archive(tmp_path / "a.zip", 400))
        attempt, actions = machine.begin(an_assignment(grant=a_grant(1, bundle=WANTED)), place.now(), place.now() + 600)
        runner = Runner(place, attempt, AttemptTrace({}, {}), lambda _: None, lambda _: None)
        place.journal.open_attempt(attempt, {}, 600)
        runner.begin(actions)
        await until(lambda: runner.attempt.phase is Phase.RENDERING, "the attempt waits for its slot", 10)

        await place.cache.add(OTHER, an_archive(tmp_path / "a.zip", 400))
        assert place.cache.find(WANTED) is not None

        runner.feed(signals.Withdrawn("not needed any more"))
        await until(lambda: runner.attempt.phase is Phase.ENDED, "the attempt is over", 10)
        await place.cache.add(THIRD, an_archive(tmp_path / "a.zip", 400))
        assert place.cache.find(WANTED) is None
        await place.background.finish(5)
        place.journal.close()
