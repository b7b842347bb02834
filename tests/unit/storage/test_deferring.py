"""Deliveries too large to look at while their messages wait: only what can come to an end is put off."""

from dataclasses import replace

from contracts.events import CompletedFrame, FramesCompleted
from contracts.values import FrameRange, Picture
from services.chassis.repository import Saved
from services.chassis.verdicts import NotYet
from services.storage.deferring import Deferring
from services.storage.domain.delivery import Delivery
from services.storage.domain.frame import Claim, FrameState, claim_id
from services.storage.domain.job import JobState, submitted
from services.storage.domain.task import TaskKind
from services.storage.work import Work
from tests.unit.storage.builders import a_grant, a_record, a_submission
from tests.unit.storage.memory import MemoryTasks, Remembered

TOLD, OTHER = "a" * 64, "c" * 64
LARGE = a_grant(picture=Picture(width=30_000, height=30_000))


class Storage:
    def __init__(self) -> None:
        self.knows = Remembered(jobs={"job-1": submitted(a_submission())})
        self.tasks = MemoryTasks(self.knows.clock)
        self.deferring = Deferring(self.knows.settling(), self.tasks.theirs, verifiers=1)

    def is_told(self, *frames: int, sha256: str = TOLD) -> None:
        for frame in frames:
            claim = Claim("attempt-1", frame, sha256, "e" * 64, 1_000, 1_000_000, 1.0)
            self.knows.claims[claim_id("attempt-1", frame)] = claim

    async def takes(self, *frames: int, sha256: str = TOLD) -> Exception | None:
        completed = tuple(CompletedFrame(frame=frame, file_sha256=sha256) for frame in frames)
        (outcome,) = await self.deferring.take([Delivery(LARGE, completed)])
        return outcome

    async def works(self) -> None:
        """Until nothing is due."""
        doings = {TaskKind.FRAMES: lambda task: self.deferring.settle(task.body)}
        await Work(self.tasks.theirs, doings, {}, look_seconds=0).all_due([TaskKind.FRAMES])


async def test_frames_that_were_told_are_put_off_once_and_settled_later() -> None:
    storage = Storage()
    storage.is_told(1, 2)
    assert [await storage.takes(1, 2) for _ in range(2)] == [None, None]
    assert len(storage.tasks.kept) == 1
    await storage.works()
    assert storage.tasks.kept == {}
    assert [refusal.code for refusal in storage.knows.refused.values()] == ["missing", "missing"]


async def test_the_same_files_are_one_task_however_they_are_told() -> None:
    storage = Storage()
    storage.is_told(1, 2)
    frames = [CompletedFrame(frame=frame, file_sha256=TOLD, seconds=seconds) for seconds in (1.0, 2.0) for frame in (1, 2)]
    for told in (frames[:2], frames[2:], frames[1::-1]):
        assert await storage.deferring.take([Delivery(LARGE, tuple(told))]) == [None]
    assert len(storage.tasks.kept) == 1
    storage.is_told(2, sha256=OTHER)
    other = CompletedFrame(frame=2, file_sha256=OTHER)
    assert await storage.deferring.take([Delivery(LARGE, (frames[0], other))]) == [None]
    assert len(storage.tasks.kept) == 2


async def test_hashes_that_were_never_told_come_again_by_the_ladder_and_make_no_task() -> None:
    storage = Storage()
    storage.is_told(1, 2)
    assert isinstance(await storage.takes(3), NotYet)
    assert isinstance(await storage.takes(1, 2, sha256=OTHER), NotYet)
    storage.is_told(2, sha256=OTHER)
    assert isinstance(await storage.takes(1, 2), NotYet)
    assert storage.tasks.kept == {}
    storage.is_told(2)
    assert await storage.takes(1, 2) is None
    assert len(storage.tasks.kept) == 1


async def test_a_task_whose_frame_was_told_anew_ends_with_the_others_settled() -> None:
    storage = Storage()
    storage.is_told(1, 2)
    await storage.takes(1, 2)
    storage.is_told(2, sha256=OTHER)
    await storage.works()
    assert storage.tasks.kept == {}
    assert [(refusal.frame, refusal.code) for refusal in storage.knows.refused.values()] == [(1, "missing")]


async def test_a_task_that_is_not_admitted_any_more_ends() -> None:
    storage = Storage()
    storage.is_told(1)
    await storage.takes(1)
    (task,) = storage.tasks.kept.values()
    narrower = LARGE.model_copy(update={"frames": (FrameRange(first=2, last=2),)})
    body = FramesCompleted.model_validate_json(task.body).model_copy(update={"grant": narrower}).model_dump_json()
    storage.tasks.kept[task.id] = replace(task, body=body)
    await storage.works()
    assert storage.tasks.kept == {}


async def test_what_is_decided_makes_no_task_whatever_it_is_said_to_be() -> None:
    storage = Storage()
    stored = a_record(attempt="attempt-1", file_sha256=TOLD, state=FrameState.STORED)
    storage.knows.frames[stored.id] = Saved(stored.id, 1, stored)
    assert await storage.takes(1) is None
    storage.knows.jobs["job-1"] = replace(storage.knows.jobs["job-1"], state=JobState.CLOSED)
    assert await storage.takes(2, 3, sha256=OTHER) is None
    assert storage.tasks.kept == {}


async def test_refused_frames_are_their_agents_fault_once_for_each_message_now_or_later() -> None:
    storage = Storage()
    storage.is_told(1, 2, 3)
    now = Delivery(a_grant(), (CompletedFrame(frame=1, file_sha256=TOLD), CompletedFrame(frame=2, file_sha256=TOLD)))
    assert await storage.deferring.take([now]) == [None]
    assert (len(storage.knows.refused), storage.knows.blamed) == (2, ["agent-a"])
    assert await storage.deferring.take([now]) == [None]
    assert storage.knows.blamed == ["agent-a"]
    await storage.takes(3)
    await storage.works()
    assert storage.knows.blamed == ["agent-a", "agent-a"]
