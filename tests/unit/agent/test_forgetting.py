"""An attempt is forgotten when its grant ends, whatever is still on its way for it."""

import asyncio
from pathlib import Path

import httpx
import pytest

from agent.domain import machine, signals
from agent.domain.attempt import Phase, Standing
from agent.runner import Runner
from agent.traces import AttemptTrace
from contracts.events import UploadGranted
from tests.unit.agent.builders import Life, a_picture, an_assignment, an_upload
from tests.unit.agent.test_keeping import a_place


class SlowStore:
    """Answers when it is let."""

    def __init__(self, answer: int) -> None:
        self._answer = answer
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def __call__(self, _: httpx.Request) -> httpx.Response:
        self.asked.set()
        await self.let.wait()
        return httpx.Response(self._answer)


@pytest.mark.parametrize("answer", [200, 403])
async def test_a_stores_answer_after_the_end_of_the_grant_ends_neither_the_process_nor_the_other_renders(
    tmp_path: Path, answer: int
) -> None:
    store, assignment, gone = SlowStore(answer), an_assignment(1, 2), list[str]()
    async with httpx.AsyncClient(transport=httpx.MockTransport(store)) as http:
        place = a_place(tmp_path, http)
        first, _ = machine.begin(assignment, place.now(), place.now())
        place.journal.open_attempt(first, {}, 600)
        place.journal.record(first, Life.rendering(assignment).renders(1).attempt, [], {})
        path = place.folders.picture(first.id, 1)
        path.parent.mkdir()
        path.write_bytes(bytes(100))
        attempt = machine.take_up(assignment, [(a_picture(1), Standing.RENDERED)], False, place.now(), ends_at=place.now())
        runner = Runner(place, attempt, AttemptTrace({}, {}), lambda _: None, gone.append)
        ids = {"agent": "agent-1", "job": "job-1", "attempt": first.id}
        runner.hear(UploadGranted(**ids, uploads=(an_upload(1),), seconds_valid=900))
        await asyncio.wait_for(store.asked.wait(), 10)

        runner.feed(signals.Tick())
        runner.feed(signals.Tick())
        assert runner.attempt.phase is Phase.ENDED
        assert gone == [first.id]
        assert not list(place.journal.remembered())
        store.let.set()
        await place.background.finish(10)
        assert not place.background.broken.is_set()
        assert gone == [first.id], "once"
        place.journal.close()
