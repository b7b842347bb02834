"""Each check of the inspection: what makes it speak, how loudly, and what stops it."""

from typing import Any

import pytest

from contracts.changes import Change, Support
from contracts.events import InspectionReported, JobFailed, JobInspected
from contracts.grants import Grant
from contracts.values import Kind, Picture, RenderSettings, Severity
from services.scheduler.domain.inspection import Verdict, inspected, judged
from services.scheduler.domain.picture import sides
from services.scheduler.domain.states import JobState
from tests.unit.scheduler.builders import GIB, NOW, a_job, a_submission, some_facts, span

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
GAP = {"name": "//walk.png", "frames": ({"first": 4, "last": 5},)}

SPEAKING: list[tuple[dict[str, Any], str, Severity, Change | None]] = [
    ({"engine": "BLENDER_EEVEE"}, "engine", ERROR, Change.RENDER_WITH_CYCLES),
    ({"engine": "LUXCORE"}, "engine", ERROR, Change.RENDER_WITH_CYCLES),
    ({"has_camera": False}, "no_camera", ERROR, Change.FIRST_CAMERA),
    ({"has_camera": False, "cameras": ()}, "no_camera", ERROR, None),
    ({"newer_than_renderer": True}, "newer_blender", ERROR, None),
    ({"missing": ("image: //wood.png",)}, "missing_image", ERROR, None),
    ({"missing": ("tile: //wood.1002.png",)}, "missing_tile", ERROR, None),
    ({"missing": ("library: //props.blend",)}, "missing_library", ERROR, None),
    ({"missing": ("font: //letters.ttf",)}, "missing_font", ERROR, None),
    ({"missing": ("cache: //caches/a.mdd",)}, "missing_cache", ERROR, None),
    ({"missing": ("volume: //caches/a.vdb",)}, "missing_cache", ERROR, None),
    ({"missing": ("strip: /home/me/title.png",)}, "missing_strip", ERROR, Change.WITHOUT_SEQUENCER),
    ({"missing": ("something: //new.kind",)}, "missing_file", ERROR, None),
    ({"missing": ("image: /home/me/wood.png",)}, "absolute_path", ERROR, None),
    ({"missing": ("image: C:\\me\\wood.png",)}, "absolute_path", ERROR, None),
    ({"missing_blocks": ("object chair of //props.blend",)}, "missing_linked", ERROR, None),
    ({"gaps": (GAP,)}, "missing_sequence", ERROR, None),
    ({"missing_unused": ("image: //brush.png",)}, "missing_unused", INFO, None),
    ({"cropped": True}, "cropped", ERROR, Change.WHOLE_PICTURE),
    ({"multiview": True}, "multiview", ERROR, Change.ONE_VIEW),
    ({"is_movie": True}, "movie_output", WARNING, Change.PICTURES_INSTEAD_OF_VIDEO),
    ({"file_outputs": ("File Output: //passes/",)}, "file_outputs", WARNING, Change.WITHOUT_FILE_OUTPUTS),
    ({"sequencer": True}, "sequencer", WARNING, Change.WITHOUT_SEQUENCER),
    ({"scripts": ("text startup.py",)}, "scripts", WARNING, None),
    ({"addons": ("node Magic of paint",)}, "addon_nodes", ERROR, None),
    ({"addon_data": ("fancy_tool",)}, "addon_settings", INFO, None),
    ({"simulations": ("CLOTH on flag",), "simulated_from": 1}, "simulations", ERROR, Change.STEP_SIMULATIONS),
    ({"simulations": ("RIGID_BODY on Scene", "CLOTH on flag"), "simulated_from": 1}, "simulations", ERROR, None),
    ({"simulations": ("CLOTH on flag",), "simulated_from": 12}, "simulations_not_begun", INFO, None),
    ({"denoise": True, "denoiser": "unknown"}, "denoiser", INFO, None),
    ({"device": "GPU"}, "gpu_device", INFO, None),
    ({"frame_end": 250, "last_key": 96}, "frame_range", WARNING, None),
    ({"frame_end": 1}, "one_frame", INFO, None),
    ({"frame_step": 2}, "frame_step", INFO, None),
    ({"percentage": 50}, "percentage", WARNING, Change.FULL_RESOLUTION),
    ({"width": 9_000}, "big_pictures", WARNING, None),
    ({"width": 40_000}, "resolution", ERROR, None),
    ({"height": 3}, "resolution", ERROR, None),
    ({"memory_bytes": 5 * GIB}, "memory", ERROR, None),
    ({"packed_bytes": GIB}, "packed", WARNING, None),
]


def look(settings: RenderSettings | None = None, asked: Any = (), bundle_bytes: int = 0, **facts: Any) -> Verdict:
    return judged(some_facts(**facts), asked, settings or RenderSettings(), 4 * GIB, bundle_bytes)


def test_a_clean_file_has_none_of_the_findings() -> None:
    verdict = look()
    assert (verdict.findings, verdict.support) == ((), Support.SUPPORTED)


@pytest.mark.parametrize(("facts", "code", "severity", "change"), SPEAKING)
def test_each_check_speaks_of_its_fact_alone_with_words_and_a_fix(
    facts: dict[str, Any], code: str, severity: Severity, change: Change | None
) -> None:
    (found,) = look(**facts).findings
    assert (found.code, found.severity, found.change) == (code, severity, change)
    assert found.text.endswith(".")
    assert found.fix.endswith(".")


@pytest.mark.parametrize(("facts", "change"), [(facts, change) for facts, _, _, change in SPEAKING if change])
def test_a_change_that_was_made_silences_its_finding(facts: dict[str, Any], change: Change) -> None:
    assert look(RenderSettings(changes=(change,)), **facts).findings == ()


def test_there_are_more_than_fifteen_checks_and_each_change_is_offered_by_one() -> None:
    assert len({code for _, code, _, _ in SPEAKING}) >= 30
    assert {change for _, _, _, change in SPEAKING if change} == set(Change)


@pytest.mark.parametrize(
    ("facts", "support"),
    [
        ({"is_movie": True}, Support.WITH_CHANGES),
        ({"engine": "BLENDER_EEVEE", "percentage": 50}, Support.WITH_CHANGES),
        ({"engine": "BLENDER_EEVEE", "missing": ("image: //a.png",)}, Support.UNSUPPORTED),
        ({"scripts": ("text a",), "device": "GPU"}, Support.SUPPORTED),
        ({"newer_than_renderer": True}, Support.UNSUPPORTED),
    ],
)
def test_the_verdict_is_on_the_file_as_a_whole(facts: dict[str, Any], support: Support) -> None:
    assert look(**facts).support is support


def test_a_gap_in_a_sequence_matters_only_to_frames_that_show_it() -> None:
    assert look(asked=span(1, 3), gaps=(GAP,)).findings == ()
    assert look(asked=span(1, 12, 3), gaps=(GAP,)).findings[0].code == "missing_sequence"
    assert look(asked=span(1, 12, 5), gaps=(GAP,)).findings == (), "frames 1, 6 and 11"


def test_frames_that_were_named_are_not_called_suspicious() -> None:
    assert look(asked=span(1, 1), frame_end=250, last_key=96, frame_step=2).findings == ()


def test_a_percentage_that_was_asked_for_is_meant() -> None:
    assert look(RenderSettings(percentage=50), percentage=50).findings == ()


def test_a_side_that_no_driver_takes_is_refused_and_a_percentage_of_a_larger_one_is_not() -> None:
    """Whoever rendered it would be told that the farm has asked for the impossible."""
    for settings in (RenderSettings(width=3), RenderSettings(width=480, height=1), RenderSettings(height=3, percentage=100)):
        assert [(one.code, one.severity) for one in look(settings).findings] == [("resolution", ERROR)]
    assert look(RenderSettings(width=4, height=4, percentage=50)).findings == ()


def test_full_resolution_is_what_the_pictures_get() -> None:
    facts = some_facts(percentage=50)
    assert sides(facts, RenderSettings(changes=(Change.FULL_RESOLUTION,))) == (480, 270)
    assert sides(facts, RenderSettings(changes=(Change.FULL_RESOLUTION,), percentage=25)) == (120, 67)


def test_a_bundle_larger_than_its_work_is_worth_is_told() -> None:
    assert [one.code for one in look(bundle_bytes=2 * GIB).findings] == ["more_bundle_than_work"]
    assert look(bundle_bytes=2 * GIB, frame_end=20_000).findings == ()
    assert look(bundle_bytes=2 * GIB, samples=40_000).findings == ()
    assert look(bundle_bytes=GIB // 20).findings == (), "what is downloaded in seconds is no burden"


def test_gpu_is_no_news_to_a_renter_who_allows_it() -> None:
    assert look(RenderSettings(gpu=True), device="GPU").findings == ()


def test_a_file_full_of_long_names_makes_findings_of_a_few() -> None:
    long = tuple(f"image: //{'x' * 250}{n}.png" for n in range(200))
    verdict = look(missing=long, missing_unused=long, scripts=("s" * 200,) * 200, addons=("a" * 200,) * 200)
    assert all(len(one.text) < 700 for one in verdict.findings)
    assert "and 195 more" in verdict.findings[0].text


def _report(**facts: Any) -> InspectionReported:
    grant = Grant(
        agent="house", job="job", chunk="chunk", attempt="look", kind=Kind.INSPECT, frames=(), bundle="b" * 64,
        picture=Picture(width=1, height=1), max_bytes=1, until=NOW,
    )  # fmt: skip
    return InspectionReported(grant=grant, facts=some_facts(**facts))


def test_a_job_that_a_change_would_save_ends_with_the_command_that_makes_it() -> None:
    _, events = inspected(a_job(state=JobState.INSPECTING), _report(engine="BLENDER_EEVEE", cropped=True), 5, 0)
    (told,) = [one for one in events if isinstance(one, JobInspected)]
    (failed,) = [one for one in events if isinstance(one, JobFailed)]
    assert told.support is Support.WITH_CHANGES
    assert failed.hint.endswith("`framelend apply job render-with-cycles whole-picture`.")


def test_lenders_are_told_the_engine_that_will_run() -> None:
    asked = a_submission(settings=RenderSettings(changes=(Change.RENDER_WITH_CYCLES,)))
    job, (told,) = inspected(a_job(state=JobState.INSPECTING, asked=asked), _report(engine="BLENDER_EEVEE"), 5, 0)
    assert isinstance(told, JobInspected)
    assert told.facts is not None
    assert job.facts is not None
    assert (job.facts.engine, told.facts.engine) == ("CYCLES", "BLENDER_EEVEE")
