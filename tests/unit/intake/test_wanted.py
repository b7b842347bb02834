"""What a renter wants of his job besides its frames is asked for in words that can be checked, and passed on."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from contracts import events as e
from contracts.values import Audience, Curve, Feasibility, Knot, Limits, Order, Outlook
from services.intake.domain import jobs, projections, timeline
from services.intake.domain.refusals import Refused
from services.intake.http.jobs import NewJob, wanted
from tests.unit.intake.test_projections import JOB, NOW, RENTER, a_band, a_job, a_quote

SOON = NOW + timedelta(hours=1)
OUTLOOK = Outlook(feasibility=Feasibility.TIGHT, deadline=SOON, earliest=NOW + timedelta(minutes=50))


def asked(**more: Any) -> NewJob:
    return NewJob.model_validate({"bundle": "0" * 64, "price_per_wu": "0.01", **more})


def test_whom_he_allows_in_his_order_and_the_order_of_frames_reach_the_farm() -> None:
    found = wanted(asked(allows=["own", "named", "own"], lenders=["bob", "bob"], order="preview"))
    (told,) = jobs.submitted(JOB, a_job(**found))
    assert isinstance(told, e.JobSubmitted)
    assert (told.allows, told.lenders, told.order) == ((Audience.OWN, Audience.NAMED), ("bob",), Order.PREVIEW)


def test_who_says_nothing_lets_anyone_render_from_the_first_frame_on() -> None:
    (told,) = jobs.submitted(JOB, a_job(**wanted(asked())))
    assert isinstance(told, e.JobSubmitted)
    assert (told.allows, told.lenders, told.order) == ((), (), Order.FORWARD)


@pytest.mark.parametrize("wrong", [{"allows": ["named"]}, {"lenders": ["bob"]}, {"allows": ["own"], "lenders": ["bob"]}])
def test_named_goes_with_names(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        wanted(asked(**wrong))
    assert refused.value.code == "lenders-unnamed"


@pytest.mark.parametrize("side", ["width", "height"])
def test_a_side_that_the_render_driver_does_not_take_is_refused_at_the_door(side: str) -> None:
    """Else nobody could look at the file, and it would be called the farm's own mistake."""
    assert asked(settings={side: 4}).settings
    with pytest.raises(ValidationError, match=f"settings.{side}"):
        asked(settings={side: 3})


def test_what_is_said_of_a_deadline_stands_beside_the_price_and_in_the_jobs_story() -> None:
    quote = a_quote(1).model_copy(update={"outlook": OUTLOOK})
    after = projections.folded(a_job(), quote)
    assert after.quote is not None
    assert after.quote.outlook == OUTLOOK
    estimate = e.JobEstimated(
        job=JOB, account=RENTER, version=1, curve=Curve(knots=(Knot(frame=1, micro_wu=1),)), frames=(), micro_wu=a_band(1),
        seconds=a_band(1), outlook=OUTLOOK,
    )  # fmt: skip
    told = timeline.entry(estimate).text
    assert "The deadline is tight: begun without delay, the job could be done at 2026-11-21 08:50 UTC." in told


def test_what_was_said_of_another_deadline_is_not_shown_until_something_is_said_of_this_one() -> None:
    quoted = projections.folded(a_job(limits=Limits(deadline=SOON)), a_quote(1).model_copy(update={"outlook": OUTLOOK}))
    assert quoted.outlook_now == OUTLOOK
    moved = replace(quoted, limits=Limits(deadline=SOON + timedelta(hours=1)))
    assert moved.outlook_now is None
    fresh = OUTLOOK.model_copy(update={"deadline": SOON + timedelta(hours=1), "feasibility": Feasibility.FEASIBLE})
    told = e.JobStateChanged(job=JOB, account=RENTER, state="queued", revision=9, outlook=fresh)
    assert projections.folded(moved, told).outlook_now == fresh
    assert "2026-11-21 10:00 UTC now. The deadline can be kept" in timeline.entry(told).text
    assert "only your own jobs" not in timeline.entry(told).text
    own = told.model_copy(update={"outlook": fresh.model_copy(update={"right_of_way": False})})
    assert timeline.entry(own).text.endswith("It came after you accepted the price, so it orders only your own jobs.")
    again = projections.folded(projections.folded(moved, told), a_quote(2))
    assert again.outlook_now is None, "a further version says its own"


def test_a_missed_deadline_is_told_once_for_each_deadline() -> None:
    first = e.DeadlineMissed(job=JOB, account=RENTER, deadline=SOON, lacking=7)
    later = first.model_copy(update={"deadline": SOON + timedelta(hours=1)})
    entries = [timeline.entry(one) for one in (first, first, later)]
    assert len({one.identity for one in entries}) == 2
    assert entries[0].text == "The deadline of 2026-11-21 09:00 UTC is missed: 7 frames are not stored yet."
