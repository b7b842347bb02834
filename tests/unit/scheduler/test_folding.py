"""What was noted of stored frames outlives a database that is away, and one document that cannot be written harms no other."""

from dataclasses import replace
from typing import Any, cast

import pytest

from contracts.events import FramesStored, StoredFrame
from contracts.values import Kind
from services.scheduler.domain import quotes as domain
from services.scheduler.domain.states import JobState
from services.scheduler.learning import Learning
from services.scheduler.quoting import Quoting
from services.scheduler.repository import Agents, Quotes
from tests.unit.scheduler.builders import NOW, POLICY, WU, a_sampled_job, an_agent
from tests.unit.scheduler.memory import MemoryAgents, Store
from tests.unit.scheduler.office import Office


class OffAndOn:
    """A store before which the database goes away, or refuses to write one document."""

    def __init__(self, store: Store[Any]) -> None:
        self._store, self.is_away, self.refused = store, False, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def update(self, id: str, decide: Any) -> Any:
        if self.is_away:
            raise ConnectionError("the database is away")
        if id == self.refused:
            raise ZeroDivisionError(id)
        return await self._store.update(id, decide)


def stored(job: str, *numbers: int) -> FramesStored:
    kept = tuple(
        StoredFrame(
            frame=n, file_sha256="c" * 64, pixel_sha256="c" * 64, bytes=1, cpu_micros=WU, seconds=1.0, key="k"
        ) for n in numbers
    )  # fmt: skip
    return FramesStored(
        job=job, chunk="chunk", attempt="first", agent="ann", version=1, kind=Kind.RENDER, generation=0, frames=kept
    )  # fmt: skip


async def an_office(*jobs: str) -> tuple[Office, Quoting, Quotes, OffAndOn]:
    """Each job has eight frames and a quote; ann renders."""
    office = Office()
    store = OffAndOn(cast(Any, office.quotes.store))
    quotes = Quotes(cast(Any, store))
    await office.agents.store.add("ann", an_agent("ann", seen_at=NOW))
    for name in jobs:
        job = a_sampled_job(8, job=name, state=JobState.RENDERING)
        await office.jobs.store.add(name, job)
        made = domain.made(job, 1, NOW)
        assert made is not None
        await quotes.keep(made)
    return office, Quoting(office.jobs, office.agents, quotes, POLICY, office.desk.dispatch), quotes, store


async def measured(quotes: Quotes, job: str) -> tuple[int, bool]:
    """Frames, and whether the outcome was told."""
    known = await quotes.get(job, 1)
    assert known is not None
    return sum(one.frames for one in known.timeline), known.is_told


async def test_what_was_noted_while_the_database_was_away_is_folded_when_it_is_back() -> None:
    office, quoting, quotes, database = await an_office("job")
    quoting.note(stored("job", 1, 2, 3))
    quoting.over(replace(office.job(), state=JobState.PACKAGING))
    database.is_away = True
    with pytest.raises(ConnectionError):
        await quoting.fold()
    quoting.note(stored("job", 4))
    database.is_away = False
    await quoting.fold()
    assert await measured(quotes, "job") == (4, True)
    await quoting.fold()
    assert await measured(quotes, "job") == (4, True), "each frame counts once"


async def test_a_quote_that_cannot_be_written_takes_no_other_with_it() -> None:
    office, quoting, quotes, database = await an_office("bad", "good")
    for job in ("bad", "good"):
        quoting.note(stored(job, 1, 2))
        quoting.over(replace(office.job(job), state=JobState.PACKAGING))
    database.refused = "bad:1"
    await quoting.fold()
    assert (await measured(quotes, "bad"), await measured(quotes, "good")) == ((0, False), (2, True))


async def test_how_fast_an_agent_was_is_learned_after_the_database_is_back() -> None:
    office, _, _, _ = await an_office("job")
    database = OffAndOn(cast(Any, office.agents.store))
    agents: Agents = MemoryAgents(cast(Any, database))
    learning, before = Learning(office.jobs, agents), await agents.get("ann")
    learning.note(stored("job", 1, 2), NOW, office.clock.at)
    database.is_away = True
    with pytest.raises(ConnectionError):
        await learning.fold()
    assert await agents.get("ann") == before
    database.is_away = False
    await learning.fold()
    assert await agents.get("ann") != before
