"""Longer work that fails: whose fault it is, who is told, and when it is tried again."""

from services.chassis.verdicts import NotYet, WorldAway
from services.storage.domain.task import TRIES, Task, TaskKind, delay
from services.storage.work import Doing, Work
from tests.unit.clock import Clock
from tests.unit.storage.memory import MemoryTasks

MINUTE = 60.0


class Died(BaseException):
    """The process is gone."""


class Failing:
    """One task that always fails; what was tried and told."""

    def __init__(self, kind: TaskKind, *problems: Exception) -> None:
        self.clock, self.kind = Clock(), kind
        self.tasks = MemoryTasks(self.clock)
        self.problems = list(problems)
        self.tried, self.told = 0, list[str]()
        self.dies = False

    async def _do(self, task: Task) -> None:
        self.tried += 1
        raise self.problems.pop(0) if self.problems else RuntimeError("403")

    async def _tell(self, task: Task) -> None:
        self.told.append(task.subject)
        if self.dies:
            raise Died

    def work(self, waits_for_it: bool) -> Work:
        words: dict[TaskKind, Doing] = {self.kind: self._tell} if waits_for_it else {}
        return Work(self.tasks.theirs, {self.kind: self._do}, words, look_seconds=0)

    async def goes_on(self, times: int, waits_for_it: bool = True, seconds: float = MINUTE) -> None:
        for _ in range(times):
            await self.work(waits_for_it).all_due([self.kind])
            self.clock.pass_by(seconds)


async def test_our_failures_are_counted_then_told_and_given_up() -> None:
    one = Failing(TaskKind.BUNDLE, WorldAway("store"), NotYet("early"))
    await one.tasks.add(Task("one", TaskKind.BUNDLE, "upload"))
    await one.goes_on(20)
    assert (one.tried, one.told) == (2 + TRIES, ["upload"])
    assert one.tasks.kept["one"].given_up


async def test_whoever_dies_between_the_word_and_the_writing_tells_it_again() -> None:
    one = Failing(TaskKind.PACKAGE)
    await one.tasks.add(Task("one", TaskKind.PACKAGE, "job"))
    one.dies = True
    try:
        await one.goes_on(20)
    except Died:
        one.dies = False
    assert one.told == ["job"], "nobody may be told later than it is written"
    assert not one.tasks.kept["one"].given_up
    one.tasks.its_holder_dies("one")
    await one.goes_on(1)
    assert (one.told, one.tasks.kept["one"].given_up) == (["job", "job"], True)


async def test_what_nobody_waits_for_is_never_given_up_but_tried_every_minute() -> None:
    one = Failing(TaskKind.PURGE, *(WorldAway("the store keeps it") for _ in range(5)))
    await one.tasks.add(Task("one", TaskKind.PURGE, "job"))
    for _ in range(600):
        await one.goes_on(1, waits_for_it=False, seconds=1.0)
    assert one.tried == 10
    assert not one.tasks.kept["one"].given_up


async def test_what_the_world_holds_up_is_tried_every_second_where_somebody_waits() -> None:
    one = Failing(TaskKind.FRAMES, *(NotYet("early") for _ in range(9)))
    await one.tasks.add(Task("one", TaskKind.FRAMES, "attempt"))
    await one.goes_on(9, waits_for_it=False, seconds=1.0)
    assert one.tried == 9


def test_the_delay_grows_to_a_minute_and_stays_one_however_often_it_was_tried() -> None:
    delays = [delay(TaskKind.PACKAGE, tries).total_seconds() for tries in (0, 1, 2, 3, 4, 10**9)]
    assert delays == [1, 1, 4, 16, 60, 60]
