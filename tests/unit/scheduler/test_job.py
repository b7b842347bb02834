"""A job's moves, its pauses and its ends."""

from datetime import timedelta

import pytest

from contracts.events import (
    Action,
    CreditsHeld,
    HoldRefused,
    JobCancelled,
    JobControlled,
    JobFailed,
    JobQuoted,
    JobRendered,
    JobStateChanged,
    SamplingMeasured,
)
from contracts.values import Band, Kind
from services.scheduler.domain import answers
from services.scheduler.domain import job as jobs
from services.scheduler.domain.cutting import inspection
from services.scheduler.domain.job import Job
from services.scheduler.domain.measured import Measured
from services.scheduler.domain.states import (
    AGENT_MOVES,
    CHUNK_MOVES,
    ENDED,
    JOB_MOVES,
    WORKING,
    AgentState,
    ChunkState,
    IllegalMove,
    JobState,
)
from tests.unit.scheduler.builders import NOW, a_job, a_sampled_job, a_submission


def steered(job: Job | None, revision: int, action: Action) -> jobs.Decided:
    said = JobControlled(job="job", account="ada", revision=revision, action=action, by="ada")
    return jobs.controlled(job, said, NOW)


def a_quote(version: int = 1) -> JobQuoted:
    band = Band(low=1, expected=1, high=1)
    return JobQuoted(
        job="job", account="ada", version=version, price_micro=1, lines=(), micro_wu=band, seconds=band,
        expires_at=NOW + timedelta(hours=1),
    )  # fmt: skip


def test_every_state_has_its_row_and_every_job_can_end() -> None:
    assert set(JOB_MOVES) == set(JobState)
    assert set(CHUNK_MOVES) == set(ChunkState)
    assert set(AGENT_MOVES) == set(AgentState)
    for state in set(JobState) - ENDED:
        assert {JobState.CANCELLED, JobState.FAILED} <= JOB_MOVES[state]
    assert not WORKING & ENDED


def test_an_illegal_move_tells_the_story_so_far() -> None:
    job, _ = jobs.submitted(None, a_submission(), NOW)
    with pytest.raises(IllegalMove, match="is submitted and cannot become rendering; so far: submitted: waiting"):
        jobs.advanced(job, JobState.RENDERING, "")


def test_a_submitted_job_says_what_it_waits_for() -> None:
    job, (told,) = jobs.submitted(None, a_submission(), NOW)
    assert isinstance(told, JobStateChanged)
    assert (told.state, told.revision) == ("submitted", 1)
    assert "deposit" in told.reason
    assert jobs.submitted(job, a_submission(), NOW) == (job, [])


def test_a_cancel_that_came_first_ends_the_job_when_it_arrives() -> None:
    grave, events = steered(None, 3, Action.CANCEL)
    assert events == []
    job, events = jobs.submitted(grave, a_submission(), NOW)
    assert job.state is JobState.CANCELLED
    assert [type(one) for one in events] == [JobStateChanged, JobCancelled]


def test_a_refused_deposit_fails_the_job_and_a_refused_quote_does_not() -> None:
    refused = HoldRefused(job="job", account="ada", version=0, needed_micro=5, available_micro=1, text="too little")
    job, events = jobs.hold_refused(a_job(), refused)
    assert job.state is JobState.FAILED
    (failed,) = [one for one in events if isinstance(one, JobFailed)]
    assert "credits" in failed.hint
    quoted = a_job(state=JobState.QUOTED, version=1)
    assert jobs.hold_refused(quoted, refused.model_copy(update={"version": 1})) == (quoted, [])


def test_the_hold_of_the_quoted_version_starts_the_job() -> None:
    job, _ = answers.quoted(a_job(state=JobState.ESTIMATING, version=1), a_quote())
    assert job.state is JobState.QUOTED
    old = CreditsHeld(job="job", account="ada", version=7, amount_micro=1)
    assert answers.held(job, old) == (job, [])
    job, _ = answers.held(job, CreditsHeld(job="job", account="ada", version=1, amount_micro=1))
    assert job.state is JobState.QUEUED


def test_declining_ends_a_quoted_job_with_its_reason_and_no_other() -> None:
    job, events = answers.declined(a_job(state=JobState.QUOTED, version=1), 1, "the price was declined")
    assert job.state is JobState.CANCELLED
    assert [one.reason for one in events if isinstance(one, JobCancelled)] == ["the price was declined"]
    paid = a_job(state=JobState.QUEUED, version=1)
    assert answers.declined(paid, 1, "too late") == (paid, [])


def test_pause_remembers_where_it_was_and_resume_goes_back() -> None:
    job, _ = steered(a_job(state=JobState.RENDERING), 1, Action.PAUSE)
    assert (job.state, job.stage) == (JobState.PAUSED, JobState.RENDERING)
    job, (told,) = steered(job, 2, Action.RESUME)
    assert isinstance(told, JobStateChanged)
    assert (job.state, job.stage, told.state) == (JobState.RENDERING, None, "rendering")


def test_older_revisions_are_ignored() -> None:
    job, _ = steered(a_job(state=JobState.RENDERING), 5, Action.RESUME)
    assert steered(job, 4, Action.CANCEL) == (job, [])
    assert steered(job, 5, Action.CANCEL) == (job, [])
    assert steered(job, 6, Action.CANCEL)[0].state is JobState.CANCELLED


def test_facts_move_the_stage_beneath_a_pause_without_ending_it() -> None:
    job, _ = steered(a_job(state=JobState.ESTIMATING, version=1), 1, Action.PAUSE)
    job, events = answers.quoted(job, a_quote())
    assert (job.state, job.stage, events) == (JobState.PAUSED, JobState.QUOTED, [])


def test_a_job_whose_last_frame_comes_while_paused_is_rendered() -> None:
    job, _ = steered(a_sampled_job(uncut=(), state=JobState.RENDERING), 1, Action.PAUSE)
    job, events = jobs.rendered(job)
    assert job.state is JobState.PACKAGING
    assert [type(one) for one in events] == [JobStateChanged, JobRendered]


def test_a_cancel_is_too_late_when_every_frame_is_stored() -> None:
    job, events = steered(a_job(state=JobState.PACKAGING), 1, Action.CANCEL)
    assert (job.state, events) == (JobState.PACKAGING, [])


def test_a_job_that_ends_while_it_is_sampled_pays_for_what_was_measured() -> None:
    measured = (Measured("look", "house", Kind.INSPECT, 7),)
    _, events = jobs.cancelled(a_job(state=JobState.ESTIMATING, measured=measured), "cancelled by ada")
    assert [type(one) for one in events] == [SamplingMeasured, JobStateChanged, JobCancelled]
    _, events = jobs.cancelled(a_job(state=JobState.QUEUED, measured=measured), "cancelled by ada")
    assert [type(one) for one in events] == [JobStateChanged, JobCancelled], "it was told with the estimate"


def test_an_ended_job_has_nothing_left_to_give_out() -> None:
    job, _ = jobs.cancelled(inspection(a_sampled_job()), "cancelled by ada")
    assert (job.uncut, job.cuts) == ((), ())
    assert jobs.failed(job, "x", "again") == (job, [])


def test_what_comes_after_the_end_is_harmless() -> None:
    job, _ = jobs.cancelled(a_job(state=JobState.QUOTED, version=1), "cancelled by ada")
    assert answers.quoted(job, a_quote()) == (job, [])
    assert answers.held(job, CreditsHeld(job="job", account="ada", version=1, amount_micro=1)) == (job, [])
    assert jobs.rendered(job) == (job, [])
    assert jobs.packaged(job) == (job, [])
    assert jobs.purged(job)[0].state is JobState.PURGED
