"""What a renter may change on a job under way, and what is told because of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from contracts.events import Action, CreditsHeld, Event, JobControlled, QuoteAccepted, Wishes
from contracts.topology import MAX_MESSAGE_BYTES
from contracts.values import FrameRange, Limits, Ranges, frames
from services.chassis.documents import Documents
from services.intake.domain import framelists, jobs, projections, steering
from services.intake.domain.jobs import Job, Settlement
from services.intake.domain.refusals import Refused
from tests.unit.intake.test_projections import JOB, NOW, RENTER, a_job, a_quote

TEN = (FrameRange(first=1, last=10),)


def span(first: int, last: int) -> Ranges:
    return (FrameRange(first=first, last=last),)


def a_quoted_job() -> Job:
    return replace(projections.folded(a_job(state="quoted"), a_quote(1)), frames=TEN)


def a_held_job() -> Job:
    job, _ = jobs.accepted(JOB, a_quoted_job(), 1, "k", NOW)
    return projections.folded(job, CreditsHeld(job=JOB, account=RENTER, version=1, amount_micro=5))


def changed(job: Job, **change: Any) -> tuple[Job, list[Event]]:
    after, events = steering.changed(JOB, job, change, RENTER, NOW)
    return after, list(events)


def refused(job: Job, **change: Any) -> str:
    with pytest.raises(Refused) as caught:
        changed(job, **change)
    return caught.value.code


def size(said: BaseModel) -> int:
    return len(said.model_dump_json(exclude_none=True).encode())


def wishes(event: Event) -> Wishes:
    assert isinstance(event, JobControlled)
    assert event.wishes is not None
    return event.wishes


def test_each_control_says_all_that_stands() -> None:
    job, (first,) = changed(a_held_job(), priority=7)
    job, (second,) = changed(job, deadline=NOW + timedelta(hours=1))
    job, (third,) = jobs.controlled(JOB, job, Action.PAUSE, RENTER)
    job, (fourth,) = changed(job, priority=8)
    told = [one for one in (first, second, third, fourth) if isinstance(one, JobControlled)]
    assert [(one.revision, one.action) for one in told] == [(1, "resume"), (2, "resume"), (3, "pause"), (4, "pause")]
    assert [wishes(one).priority for one in told] == [7, 7, 7, 8]
    assert [wishes(one).deadline is not None for one in told] == [False, True, True, True]


def test_what_changes_nothing_is_not_told() -> None:
    job, _ = changed(a_held_job(), priority=7)
    assert changed(job, priority=7) == (job, [])


def test_the_limit_may_change_until_the_price_is_accepted_and_counts_as_it_stands_then() -> None:
    quoted = a_quoted_job()
    assert quoted.quote is not None
    price = quoted.quote.price_micro
    dear = replace(quoted, limits=Limits(max_cost=price - 1))
    with pytest.raises(Refused, match="above the job's max_cost"):
        jobs.accepted(JOB, dear, 1, "k", NOW)
    raised, _ = changed(dear, max_cost=price)
    accepted, told = jobs.accepted(JOB, raised, 1, "k", NOW)
    assert told == [QuoteAccepted(job=JOB, account=RENTER, version=1, max_cost=price)]
    assert refused(accepted, max_cost=price + 1) == "price-firm"
    lifted, _ = changed(dear, max_cost=None)
    assert jobs.accepted(JOB, lifted, 1, "k", NOW)[1] == [
        QuoteAccepted(job=JOB, account=RENTER, version=1, max_cost=jobs.NO_LIMIT)
    ]


def test_the_bid_may_change_until_a_price_is_made_of_it() -> None:
    job, (told,) = changed(a_job(state="estimating"), price_per_wu_micro=77)
    assert (job.price_per_wu_micro, wishes(told).price_per_wu_micro) == (77, 77)
    assert refused(a_quoted_job(), price_per_wu_micro=77) == "price-firm"
    assert refused(a_held_job(), price_per_wu_micro=77) == "price-firm"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"deadline": NOW}, "deadline-over"),
        ({"start_at": NOW}, "start-unfit"),
        ({"start_at": NOW + timedelta(days=31)}, "start-unfit"),
        ({"start_at": NOW + timedelta(hours=2), "deadline": NOW + timedelta(hours=2)}, "start-after-deadline"),
    ],
)
def test_times_that_are_over_or_too_far_are_refused(change: dict[str, Any], code: str) -> None:
    assert refused(a_held_job(), **change) == code


def test_a_start_may_be_moved_and_taken_back_until_rendering_has_begun() -> None:
    job, (told,) = changed(a_held_job(), start_at=NOW + timedelta(hours=1))
    assert wishes(told).start_at == NOW + timedelta(hours=1)
    assert changed(job, start_at=None)[0].wishes.start_at is None
    assert refused(job, deadline=NOW + timedelta(minutes=59)) == "start-after-deadline"
    assert changed(job, deadline=NOW + timedelta(minutes=61))[0].limits.deadline, "control"
    assert refused(replace(job, state="rendering"), start_at=NOW + timedelta(hours=2)) == "already-begun"


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled", "purged"])
def test_a_job_that_is_over_is_not_changed(state: str) -> None:
    assert refused(replace(a_held_job(), state=state), priority=1) == "job-ended"


@pytest.mark.parametrize("control", [None, Action.PAUSE, Action.CANCEL])
def test_nothing_is_ordered_of_a_job_that_is_being_packed_and_the_renter_reads_why(control: Action | None) -> None:
    """The scheduler ignores it. A cancel that crossed with the last frame is not "being cancelled" either."""
    packing = replace(a_held_job(), state="packaging", control=control)
    orders: list[Callable[[], object]] = [
        *[lambda action=action: jobs.controlled(JOB, packing, action, RENTER) for action in Action],
        lambda: steering.changed(JOB, packing, {"priority": 1}, RENTER, NOW),
        lambda: steering.without(JOB, packing, span(3, 4), (), RENTER),
        lambda: steering.forgiven(JOB, packing, RENTER),
    ]
    for order in orders:
        with pytest.raises(Refused, match="rendered and paid for") as caught:
            order()
        assert caught.value.code == "job-rendered"


def test_a_job_that_is_settled_before_its_end_is_told_is_not_called_cancelled() -> None:
    settled = replace(a_held_job(), state="rendering", settlement=Settlement("completed", 5, 5, 0, ()))
    with pytest.raises(Refused, match="over and settled"):
        jobs.controlled(JOB, settled, Action.CANCEL, RENTER)


# --- frames left out, and tried again


def test_frames_left_out_are_those_not_stored_yet_and_stay_out() -> None:
    job, (told,) = steering.without(JOB, a_held_job(), span(3, 6), span(1, 4), RENTER)
    assert set(frames(wishes(told).left_out)) == {5, 6}
    assert job.total == 8
    assert steering.without(JOB, job, span(3, 6), span(1, 4), RENTER) == (job, [])
    more, _ = steering.without(JOB, job, span(9, 9), (), RENTER)
    assert set(frames(more.wishes.left_out)) == {5, 6, 9}


def test_frames_are_left_out_as_soon_as_it_is_known_which_there_are_and_only_a_jobs_own() -> None:
    with pytest.raises(Refused, match="not been looked at yet"):
        steering.without(JOB, a_job(), span(3, 3), (), RENTER)
    for known in (replace(a_job(state="estimating"), frames=TEN), a_quoted_job(), a_held_job()):
        assert wishes(steering.without(JOB, known, span(3, 3), (), RENTER)[1][0]).left_out == span(3, 3)
    with pytest.raises(Refused, match="does not have frames 11-12"):
        steering.without(JOB, a_held_job(), span(9, 12), (), RENTER)


def scattered(number: int, first: int = 1) -> Ranges:
    return tuple(FrameRange(first=frame, last=frame) for frame in range(first, first + 3 * number, 3))


def test_frames_left_out_are_written_as_short_as_they_can_be() -> None:
    job = replace(a_held_job(), frames=span(1, 100_000))
    for first in (1, 2, 3):
        job, _ = steering.without(JOB, job, scattered(1_900, first), (), RENTER)
    assert job.wishes.left_out == span(1, 5_700)


def uneven(number: int, first: int = 1) -> Ranges:
    """Single frames of which no three follow each other at the same distance."""
    return tuple(FrameRange(first=first + 5 * at + at % 2, last=first + 5 * at + at % 2) for at in range(number))


def test_more_ranges_than_events_can_say_are_refused_and_the_job_can_still_be_read_and_cancelled() -> None:
    kept, job = Documents(Job), replace(a_held_job(), frames=span(1, 200_000))
    job, _ = steering.without(JOB, job, uneven(2_000), (), RENTER)
    job, _ = steering.without(JOB, job, uneven(500, 10_001), (), RENTER)
    for unwanted, stored in (
        (span(60_000, 60_000), ()),
        (uneven(2_000, 70_001), ()),
        (span(70_000, 90_000), uneven(2_501, 70_000)),
    ):
        with pytest.raises(Refused, match="frames left out would be a list of more than 2,500 parts") as refused:
            steering.without(JOB, job, unwanted, stored, RENTER)
        assert "whole stretches" in refused.value.advice
    assert kept.decode(kept.encode(JOB, job, [])).wishes.left_out == uneven(2_500)
    assert wishes(jobs.controlled(JOB, job, Action.CANCEL, RENTER)[1][0]).left_out == uneven(2_500)


def test_what_is_left_of_the_job_must_be_sayable_too() -> None:
    job, every_seventh = replace(a_held_job(), frames=span(1, 100_000)), (FrameRange(first=1, last=100_000, step=7),)
    with pytest.raises(Refused, match="frames left of the job would be a list of more than 2,500 parts"):
        steering.without(JOB, job, every_seventh, (), RENTER)
    halved, _ = steering.without(JOB, job, (FrameRange(first=1, last=100_000, step=2),), (), RENTER)
    assert halved.total == 50_000, "control: one range"
    ragged = replace(a_held_job(), frames=uneven(6_000))
    assert steering.without(JOB, ragged, uneven(5, 101), (), RENTER)[0].total == 5_995, "from before there was a bound"


def test_frames_left_out_again_or_between_others_are_counted_when_all_are_put_together() -> None:
    job, _ = steering.without(JOB, replace(a_held_job(), frames=span(1, 100_000)), uneven(2_000), (), RENTER)
    for unwanted in (uneven(2_000), uneven(700, 501)):
        assert steering.without(JOB, job, unwanted, (), RENTER) == (job, [])
    between, _ = steering.without(JOB, job, tuple(FrameRange(first=f + 1, last=f + 1) for f in frames(uneven(1_900))), (), RENTER)
    assert len(between.wishes.left_out) == 2_000
    whole, _ = steering.without(JOB, between, span(1, 20_000), (), RENTER)
    assert whole.wishes.left_out == span(1, 20_000)


def test_a_job_of_which_more_was_left_out_once_is_cancelled_all_the_same() -> None:
    before = replace(a_held_job(), frames=span(1, 200_000), wishes=Wishes(left_out=uneven(8_000)))
    assert size(before.wishes) > MAX_MESSAGE_BYTES, "control"
    cancelled, (told,) = jobs.controlled(JOB, before, Action.CANCEL, RENTER)
    assert size(told) < MAX_MESSAGE_BYTES
    assert wishes(told).left_out == uneven(2_500), "of what others heard before they take nothing back"
    assert cancelled.wishes.left_out == uneven(8_000)
    with pytest.raises(Refused, match="more than 2,500 parts"):
        steering.without(JOB, before, span(60_000, 60_000), (), RENTER)
    whole, _ = steering.without(JOB, before, span(1, 60_000), (), RENTER)
    assert whole.wishes.left_out == span(1, 60_000)


def test_a_job_is_not_submitted_again_for_more_ranges_than_events_can_say() -> None:
    failed = replace(a_held_job(), state="failed", frames=span(1, 60_000))
    with pytest.raises(Refused, match="more than 2,500 parts") as refused:
        steering.again(failed, uneven(2_501, 2), (), "f", NOW)
    assert "--without" in refused.value.advice
    assert jobs.submitted(JOB, steering.again(failed, uneven(2_499, 2), (), "f", NOW)), "control"


def test_two_frames_with_a_gap_are_two_parts_of_a_list_as_everywhere_else() -> None:
    pairs = [
        FrameRange(first=first, last=first + 3 + first % 20 // 10, step=3 + first % 20 // 10) for first in range(1, 20_000, 10)
    ]
    with pytest.raises(Refused, match="two frames with a gap"):
        framelists.checked(pairs)
    assert len(framelists.checked(pairs[:1_000])) == 1_000


def test_what_failed_is_forgiven_each_time_it_is_said() -> None:
    job, (first,) = steering.forgiven(JOB, a_held_job(), RENTER)
    _, (second,) = steering.forgiven(JOB, job, "operator")
    assert [wishes(first).retries, wishes(second).retries] == [1, 2]


def test_a_failed_job_is_submitted_again_for_the_frames_it_lacks() -> None:
    failed = replace(a_held_job(), state="failed", limits=Limits(deadline=NOW - timedelta(hours=1), max_cost=9))
    fresh = steering.again(failed, span(1, 4), span(7, 7), "f", NOW)
    assert set(frames(fresh.asked)) == {5, 6, 8, 9, 10}
    assert (fresh.bundle, fresh.price_per_wu_micro, fresh.limits) == (
        failed.bundle,
        failed.price_per_wu_micro,
        Limits(max_cost=9),
    )
    assert (fresh.state, fresh.quote, fresh.held_version) == ("submitted", None, 0), "with a price of its own"
    for state, stored in (("completed", ()), ("failed", TEN)):
        with pytest.raises(Refused):
            steering.again(replace(failed, state=state), stored, (), "f", NOW)


def test_a_submission_with_a_start_says_it_with_the_first_control() -> None:
    later = Wishes(start_at=NOW + timedelta(hours=1))
    told = jobs.submitted(JOB, replace(a_job(), wishes=later, control_revision=1))
    assert [type(one).__name__ for one in told] == ["JobSubmitted", "JobControlled"]
    assert wishes(told[1]).start_at == later.start_at
    _, (next_,) = changed(replace(a_job(), wishes=later, control_revision=1), priority=1)
    assert isinstance(next_, JobControlled)
    assert next_.revision == 2
