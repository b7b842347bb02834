"""What was written survives the process: events not confirmed, attempts, finished frames."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.desk import Desk
from agent.domain import machine, signals
from agent.domain.attempt import Standing
from agent.journal import Journal, later
from contracts.bus import new_id
from contracts.events import ChunkReleased, FramesRendered, InspectionReported, Release
from contracts.values import Kind
from tests.unit.agent.builders import a_picture, an_assignment
from tests.unit.agent.test_keeping import a_place

TRACE = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
GIVEN_BACK = ChunkReleased(job="job-1", chunk="chunk-1", attempt="attempt-1", reason=Release.STOPPED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with closing(Journal(path)) as it:
        yield it


def _after_a_frame(journal: Journal) -> None:
    attempt, _ = machine.begin(an_assignment(1, 2), 0.0, 600.0)
    journal.open_attempt(attempt, TRACE, 600.0)
    for happened in (signals.BundleFetched(), signals.ContainerStarted(), signals.FrameTaken(a_picture(1))):
        after, actions = machine.decide(attempt, happened, 5.0)
        told = [action.event for action in actions if isinstance(action, signals.Tell)]
        journal.record(attempt, after, told, TRACE)
        attempt = after


def test_an_event_that_was_not_confirmed_is_there_after_a_restart(path: Path) -> None:
    with closing(Journal(path)) as before:
        before.keep(GIVEN_BACK, TRACE)
        (kept,) = before.waiting(0, 10)
    with closing(Journal(path)) as after:
        (found,) = after.waiting(0, 10)
        assert found.announcement.event == GIVEN_BACK
        assert found.announcement.trace == TRACE
        assert found.announcement.id == kept.announcement.id


def test_a_confirmed_event_is_gone(journal: Journal) -> None:
    journal.keep(GIVEN_BACK, {})
    journal.confirmed([waiting.number for waiting in journal.waiting(0, 10)])
    assert journal.depth() == 0


def test_a_worthless_event_is_dropped(journal: Journal) -> None:
    journal.keep(GIVEN_BACK, {}, seconds=-1)
    assert journal.waiting(0, 10) == []
    assert journal.depth() == 0


def test_a_finished_frame_and_the_word_of_it_are_there_after_a_restart(path: Path) -> None:
    with closing(Journal(path)) as before:
        _after_a_frame(before)
    with closing(Journal(path)) as after:
        (past,) = after.remembered()
        assert [(picture.frame, standing) for picture, standing in past.frames] == [(1, Standing.TOLD)]
        assert past.assignment == an_assignment(1, 2)
        assert past.trace == TRACE
        assert not past.ended
        assert 0 < past.seconds_left <= 600
        assert [type(waiting.announcement.event) for waiting in after.waiting(0, 10)] == [FramesRendered]


def test_a_decision_that_cannot_be_written_whole_is_not_written_at_all(journal: Journal) -> None:
    attempt, _ = machine.begin(an_assignment(1), 0.0, 600.0)
    frame = machine.decide(attempt, signals.FrameTaken(a_picture(1)), 1.0)[0]
    with pytest.raises(Exception, match="FOREIGN KEY"):  # the attempt was never opened
        journal.record(attempt, frame, [GIVEN_BACK], {})
    assert journal.depth() == 0


def test_a_forgotten_attempt_is_gone_with_its_frames_but_its_words_are_still_said(journal: Journal) -> None:
    _after_a_frame(journal)
    journal.forget("attempt-1")
    assert list(journal.remembered()) == []
    assert journal.depth() == 1


def test_an_ended_attempt_is_remembered_as_ended(journal: Journal) -> None:
    attempt, _ = machine.begin(an_assignment(1), 0.0, 600.0)
    journal.open_attempt(attempt, {}, 600.0)
    after, _ = machine.decide(attempt, signals.Stopping(), 1.0)
    journal.record(attempt, after, [], {})
    assert [past.ended for past in journal.remembered()] == [True]


def test_that_an_inspection_was_reported_is_known_after_a_restart_and_before_its_report_it_is_not(path: Path) -> None:
    for reports in (False, True):
        with closing(Journal(path)) as before:
            attempt, _ = machine.begin(assignment := an_assignment(kind=Kind.INSPECT), 0.0, 600.0)
            before.open_attempt(attempt, {}, 600.0)
            report = InspectionReported(grant=assignment.grant, error="no")
            after = machine.decide(attempt, signals.Surveyed(report), 1.0)[0] if reports else attempt
            before.record(attempt, after, [report] if reports else [], {})
        with closing(Journal(path)) as after_it:
            assert [past.surveyed for past in after_it.remembered()] == [reports]


def test_an_assignment_that_cannot_be_read_any_more_is_dropped(journal: Journal) -> None:
    attempt, _ = machine.begin(an_assignment(1), 0.0, 600.0)
    broken = replace(attempt, assignment=an_assignment(1).model_copy(update={"image": "of another age"}))
    journal.open_attempt(broken, {}, 600.0)
    assert list(journal.remembered()) == []
    assert list(journal.remembered()) == []


@pytest.mark.parametrize("agent", ["agent-1", "agent-2"])
async def test_a_machine_that_was_enrolled_anew_does_not_speak_for_the_one_it_was_before(tmp_path: Path, agent: str) -> None:
    async with httpx.AsyncClient() as http:
        place = a_place(tmp_path, http)
        assert Desk(place).recover() == 0
        _after_a_frame(place.journal)
        place.journal.keep(GIVEN_BACK, {})
        picture = place.folders.picture("attempt-1", 1)
        picture.parent.mkdir()
        picture.write_bytes(bytes(100))
        is_the_same, said = agent == place.agent, place.journal.depth()
        place.agent = agent
        assert Desk(place).recover() == (1 if is_the_same else 0)
        assert place.journal.depth() == (said if is_the_same else 0)
        assert picture.exists() is is_the_same
        assert place.journal.today()["rendered"] == 1, "that is its owner's, whatever the machine is called"
        place.journal.close()


@pytest.mark.parametrize("agent", ["agent-1", "agent-2"])
def test_a_journal_of_before_that_does_not_say_whose_it_is_belongs_to_whom_its_attempts_were_given(
    path: Path, agent: str
) -> None:
    with closing(Journal(path)) as before:
        _after_a_frame(before)
        said = before.depth()
    with closing(Journal(path)) as after:
        is_the_same = agent == "agent-1"
        assert after.belong_to(agent) is is_the_same
        assert (len(list(after.remembered())), after.depth()) == ((1, said) if is_the_same else (0, 0))
        assert after.belong_to(agent), "from now on it says so"


def test_a_journal_without_attempts_is_nobodys_and_what_it_has_to_say_is_said(journal: Journal) -> None:
    journal.keep(GIVEN_BACK, {})
    assert journal.belong_to("agent-1")
    assert journal.depth() == 1


def test_a_folder_keeps_its_id(path: Path) -> None:
    homes = set()
    for _ in range(2):
        with closing(Journal(path)) as journal:
            homes.add(journal.home())
    assert len(homes) == 1


def test_every_run_of_the_process_has_a_later_id(path: Path) -> None:
    runs = []
    for _ in range(3):
        with closing(Journal(path)) as journal:
            runs.append(journal.new_run())
    assert runs == sorted(set(runs))


@given(st.integers(0, 2**48 - 2), st.integers(0, 2**48 - 2))
def test_a_run_id_is_later_than_the_last_whatever_the_clock_says(one: int, other: int) -> None:
    def at(milliseconds: int) -> str:
        whole = f"{milliseconds:012x}" + new_id().replace("-", "")[12:]
        return "-".join((whole[:8], whole[8:12], whole[12:16], whole[16:20], whole[20:]))

    before, now = at(one), at(other)
    assert later(now, before) > before
    assert later(now, None) == now
