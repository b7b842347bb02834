"""A job submitted again with what its inspection offers: the same request, one word more, none of its past."""

from dataclasses import replace

import pytest

from contracts.changes import Change, Support
from contracts.events import CreditsHeld, JobInspected, JobSubmitted
from contracts.values import Audience, Finding, FrameRange, RenderSettings, Severity
from services.intake.domain import changing, jobs, projections
from services.intake.domain.jobs import Job
from services.intake.domain.refusals import Refused
from services.intake.domain.timeline import entry
from tests.unit.intake.test_projections import JOB, NOW, RENTER, a_job


def an_inspected_job(**changes: object) -> Job:
    return projections.folded(replace(a_job(), **changes), an_inspection())  # type: ignore[arg-type]


def an_inspection(accepted: bool = False) -> JobInspected:
    findings = (
        Finding(code="engine", severity=Severity.ERROR, text="EEVEE.", fix="Cycles.", change=Change.RENDER_WITH_CYCLES),
        Finding(code="percentage", severity=Severity.WARNING, text="50 %.", fix="100 %.", change=Change.FULL_RESOLUTION),
        Finding(code="scripts", severity=Severity.WARNING, text="Scripts."),
    )
    return JobInspected(job=JOB, account=RENTER, accepted=accepted, findings=findings, support=Support.WITH_CHANGES)


def refused(job: Job, *changes: Change) -> str:
    with pytest.raises(Refused) as caught:
        changing.changed(job, changes, "f", NOW)
    return caught.value.code


def test_the_verdict_and_its_offers_are_seen() -> None:
    job = an_inspected_job()
    assert job.support is Support.WITH_CHANGES
    assert changing.offered(job) == (Change.RENDER_WITH_CYCLES, Change.FULL_RESOLUTION)
    assert "offers to change what is in the way" in entry(an_inspection()).text
    assert entry(an_inspection(accepted=True)).text.endswith("can be rendered. The farm offers changes.")


def test_the_new_job_asks_for_the_same_with_the_change_and_has_no_past() -> None:
    settings = RenderSettings(samples=64, camera="Closeup", changes=(Change.ONE_VIEW,))
    old = an_inspected_job(
        settings=settings, asked=(FrameRange(first=3, last=9),), allows=(Audience.OWN,), state="failed", control_revision=4
    )
    new = changing.changed(old, [Change.RENDER_WITH_CYCLES], "print", NOW)
    assert new.settings == settings.model_copy(update={"changes": (Change.ONE_VIEW, Change.RENDER_WITH_CYCLES)})
    assert (new.asked, new.allows, new.bundle, new.name, new.limits) == (old.asked, old.allows, old.bundle, old.name, old.limits)
    assert (new.state, new.findings, new.support, new.fingerprint, new.control_revision) == ("submitted", (), None, "print", 0)
    (told,) = jobs.submitted("new", new)
    assert isinstance(told, JobSubmitted)
    assert told.settings.changes == (Change.ONE_VIEW, Change.RENDER_WITH_CYCLES)


def test_a_change_asked_for_twice_is_made_once() -> None:
    new = changing.changed(an_inspected_job(), [Change.FULL_RESOLUTION] * 2, "f", NOW)
    assert new.settings.changes == (Change.FULL_RESOLUTION,)


def test_what_nobody_offered_is_refused() -> None:
    assert refused(an_inspected_job(), Change.ONE_VIEW) == "not-offered"
    assert refused(a_job(), Change.RENDER_WITH_CYCLES) == "not-offered", "nothing is known of the file yet"


def test_frames_that_are_paid_for_are_not_replaced_under_way() -> None:
    held = projections.folded(an_inspected_job(), CreditsHeld(job=JOB, account=RENTER, version=1, amount_micro=5))
    assert refused(held, Change.FULL_RESOLUTION) == "price-held"
    over = replace(held, state="completed")
    assert changing.changed(over, [Change.FULL_RESOLUTION], "f", NOW).held_version == 0


def test_the_old_job_names_the_new_one() -> None:
    assert changing.replaced(an_inspected_job(), "new").replaced_by == "new"
