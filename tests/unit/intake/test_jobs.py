"""What a renter may say to a quote and to a job, and what is told because of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.events import Action, CreditsHeld, Event, HoldRefused, JobControlled, QuoteAccepted, QuoteDeclined, QuoteExpired
from contracts.values import Limits
from services.intake.domain import jobs, projections
from services.intake.domain.jobs import Job
from services.intake.domain.refusals import Refused, Why
from tests.unit.intake.test_projections import JOB, NOW, RENTER, a_job, a_quote


def a_quoted_job(version: int = 1) -> Job:
    return projections.folded(a_job(state="quoted"), a_quote(version))


def refusal(job: Job, version: int = 1, accept: bool = True) -> str:
    with pytest.raises(Refused) as caught:
        (jobs.accepted if accept else jobs.declined)(JOB, job, version, "k", NOW)
    assert caught.value.why is Why.CONFLICT
    return caught.value.code


def test_accepting_tells_once_whatever_the_key() -> None:
    job, told = jobs.accepted(JOB, a_quoted_job(), 1, "k", NOW)
    assert told == [QuoteAccepted(job=JOB, account=RENTER, version=1, max_cost=jobs.NO_LIMIT)]
    for key in ("k", "another"):
        again, nothing = jobs.accepted(JOB, job, 1, key, NOW)
        assert (again, nothing) == (job, [])


def test_a_refused_hold_lets_a_new_request_accept_again_and_a_repeated_one_not() -> None:
    job, _ = jobs.accepted(JOB, a_quoted_job(), 1, "k", NOW)
    no = HoldRefused(job=JOB, account=RENTER, version=1, needed_micro=5, available_micro=1, text="Top up.")
    job = projections.folded(job, no)
    assert jobs.accepted(JOB, job, 1, "k", NOW)[1] == []
    again, told = jobs.accepted(JOB, job, 1, "fresh", NOW)
    assert told == [QuoteAccepted(job=JOB, account=RENTER, version=1, max_cost=jobs.NO_LIMIT)]
    assert again.refusal is None


def test_what_cannot_be_accepted_says_why() -> None:
    quoted = a_quoted_job()
    assert refusal(a_job()) == "not-quoted"
    assert refusal(quoted, version=2) == "another-quote"
    assert refusal(projections.folded(quoted, QuoteExpired(job=JOB, account=RENTER, version=1))) == "quote-expired"
    assert refusal(replace(quoted, state="cancelled")) == "job-ended"
    assert refusal(jobs.controlled(JOB, quoted, Action.CANCEL, RENTER)[0]) == "job-ended"
    assert refusal(jobs.declined(JOB, quoted, 1, "k", NOW)[0]) == "quote-declined"
    assert quoted.quote is not None
    dear = replace(quoted, quote=replace(quoted.quote, within_max_cost=False), limits=Limits(max_cost=5))
    assert refusal(dear) == "above-max-cost"


def test_a_quote_is_open_until_the_very_moment_it_expires() -> None:
    quoted = a_quoted_job()
    assert quoted.quote is not None
    moment = quoted.quote.expires_at
    assert jobs.accepted(JOB, quoted, 1, "k", moment - timedelta(milliseconds=1))[1]
    with pytest.raises(Refused):
        jobs.accepted(JOB, quoted, 1, "k", moment)


def test_declining_tells_once_and_not_after_the_price_is_held() -> None:
    job, told = jobs.declined(JOB, a_quoted_job(), 1, "k", NOW)
    assert told == [QuoteDeclined(job=JOB, account=RENTER, version=1)]
    assert jobs.declined(JOB, job, 1, "other", NOW) == (job, [])
    held, _ = jobs.accepted(JOB, a_quoted_job(), 1, "k", NOW)
    held = projections.folded(held, CreditsHeld(job=JOB, account=RENTER, version=1, amount_micro=5))
    assert refusal(held, accept=False) == "quote-accepted"


def test_revisions_of_control_count_only_what_changes() -> None:
    job, told = a_job(), list[Event]()
    for action in (Action.RESUME, Action.PAUSE, Action.PAUSE, Action.RESUME, Action.PAUSE, Action.CANCEL, Action.CANCEL):
        job, events = jobs.controlled(JOB, job, action, RENTER)
        told += events
    assert [(one.revision, one.action) for one in told if isinstance(one, JobControlled)] == [
        (1, "pause"),
        (2, "resume"),
        (3, "pause"),
        (4, "cancel"),
    ]
    with pytest.raises(Refused):
        jobs.controlled(JOB, job, Action.RESUME, RENTER)


@pytest.mark.parametrize("state", sorted(jobs.ENDED))
def test_a_job_that_is_over_cannot_be_steered(state: str) -> None:
    with pytest.raises(Refused, match=state):
        jobs.controlled(JOB, a_job(state=state), Action.PAUSE, RENTER)


def test_frames_are_the_renters_from_the_hold_to_the_purge() -> None:
    quoted, _ = jobs.accepted(JOB, a_quoted_job(), 1, "k", NOW)
    assert not quoted.may_fetch_frames, "accepting alone holds no money"
    held = projections.folded(quoted, CreditsHeld(job=JOB, account=RENTER, version=1, amount_micro=5))
    assert held.may_fetch_frames
    assert not replace(held, purged=True).may_fetch_frames


def test_a_further_price_of_a_job_under_way_is_answered_like_the_first_and_says_what_it_is_about() -> None:
    """The accepted one stays accepted whatever is said to it."""
    job, _ = jobs.accepted(JOB, a_quoted_job(), 1, "k", NOW)
    job = projections.folded(job, CreditsHeld(job=JOB, account=RENTER, version=1, amount_micro=5))
    left = {"reason": "dearer", "left_frames": 40, "left_micro": 9, "left_before_micro": 6}
    asked = projections.folded(replace(job, state="requoting"), a_quote(2).model_copy(update=left))
    assert asked.quote is not None
    assert (asked.quote.reason, asked.quote.left_frames) == ("dearer", 40)
    assert (asked.quote.left_micro, asked.quote.left_before_micro) == (9, 6)
    (said,) = jobs.accepted(JOB, asked, 2, "k2", NOW)[1]
    assert isinstance(said, QuoteAccepted)
    assert said.version == 2
    said_no, told = jobs.declined(JOB, asked, 2, "k2", NOW)
    assert told == [QuoteDeclined(job=JOB, account=RENTER, version=2)]
    assert (said_no.held_version, said_no.held_micro) == (1, 5)
    assert refusal(projections.folded(asked, QuoteExpired(job=JOB, account=RENTER, version=2)), version=2) == "quote-expired"
