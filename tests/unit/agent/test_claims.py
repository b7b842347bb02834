"""Lines from a container are claims of a stranger: read strictly, bounded, never repeated."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.claims import Complaint, FrameDone, NonsenseClaim, Progress, read_claim
from agent.domain.survey import LIST_BYTES, NonsenseReport, read_report
from agent.hearing import TOO_LONG, TOO_MUCH
from contracts.topology import MAX_MESSAGE_BYTES
from contracts.values import Kind
from tests.unit.agent.builders import a_grant


def test_the_drivers_lines_are_read() -> None:
    assert read_claim(
        b'{"event": "frame", "frame": -3, "seconds": 1.5, "cpu_seconds": 2.5, "bytes": 9, "path": "/x"}'
    ) == FrameDone(event="frame", frame=-3, bytes=9, seconds=1.5, cpu_seconds=2.5)
    assert isinstance(read_claim(b'{"event": "progress", "frame": 1, "text": "Sample 1/8", "remaining": null}'), Progress)
    assert isinstance(read_claim(b'{"event": "error", "code": "no_camera", "frame": null, "text": "no"}'), Complaint)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"not json",
        b"[1, 2]",
        b'{"event": "launch"}',
        b'{"event": "frame", "frame": 1.5, "bytes": 9, "seconds": 1, "cpu_seconds": 1}',
        b'{"event": "frame", "frame": 1, "bytes": 9, "seconds": NaN, "cpu_seconds": 1}',
        b'{"event": "frame", "frame": 1, "bytes": 9, "seconds": -1, "cpu_seconds": 1}',
        b'{"event": "frame", "frame": 1, "bytes": -9, "seconds": 1, "cpu_seconds": 1}',
        b'{"event": "frame", "frame": 99999999, "bytes": 9, "seconds": 1, "cpu_seconds": 1}',
        b'{"event": "progress", "frame": 1, "text": "' + b"x" * 5_000 + b'"}',
        TOO_LONG,
        TOO_MUCH,
    ],
)
def test_nonsense_is_called_nonsense(line: bytes) -> None:
    with pytest.raises(NonsenseClaim) as said:
        read_claim(line)
    assert len(str(said.value)) < 300


@given(st.binary(max_size=300))
def test_no_line_does_anything_worse_than_being_nonsense(line: bytes) -> None:
    try:
        read_claim(line)
    except NonsenseClaim:
        return


def a_report(**changes: Any) -> dict[str, Any]:
    scene = {
        "engine": "CYCLES",
        "cameras": ["camera"],
        "has_camera": True,
        "frame_start": 1,
        "frame_end": 8,
        "frame_step": 1,
        "fps": 24,
        "fps_base": 1.001,
        "width": 192,
        "height": 108,
        "percentage": 100,
        "samples": 4,
        "denoise": False,
        "is_movie": False,
    }
    report = {
        "survey": 1,
        "saved_by": "5.0.1",
        "newer_than_us": False,
        "scenes": ["Scene"],
        "scene": scene,
        "files": [],
        "texts": [{"name": "startup.py", "registered": True}, {"name": "notes", "registered": False}],
        "scripted_drivers": [],
        "osl": [],
        "memory_bytes": 1_000_000_000,
        "cpu_seconds": 1.25,
    }
    return {**report, **changes}


def a_file(**changes: Any) -> dict[str, Any]:
    return {"kind": "image", "path": "//a.png", "packed": False, "exists": True, "inside": True, "used": True, **changes}


def test_a_survey_becomes_facts() -> None:
    files = [a_file(), a_file(path="//b.png", exists=False), a_file(path="/home/me/c.png", inside=False, used=False)]
    report = read_report(a_grant(kind=Kind.INSPECT), json.dumps(a_report(files=files)).encode())
    assert report.facts is not None
    assert report.facts.fps_milli == 23_976
    assert report.facts.missing == ("image: //b.png",)
    assert report.facts.missing_unused == ("image: /home/me/c.png",)
    assert report.facts.scripts == ("text startup.py",)
    assert report.cpu_micros == 1_250_000


def test_a_file_that_cannot_be_opened_is_reported_in_blenders_words() -> None:
    body = b'{"survey": 1, "error": {"code": "cannot_open", "text": "Missing DNA block"}, "cpu_seconds": 1}'
    assert read_report(a_grant(kind=Kind.INSPECT), body).error == "cannot_open: Missing DNA block"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"error": 3}',
        b"[" * 100_000,
        json.dumps(a_report(scene={})).encode(),
        json.dumps(a_report(files=[{"used": True}])).encode(),
        json.dumps(a_report(cpu_seconds="much")).encode(),
        json.dumps(a_report(cpu_seconds=0)).replace('"cpu_seconds": 0', f'"cpu_seconds": 1{"0" * 400}').encode(),
        json.dumps(a_report(packed_bytes=float("inf"))).encode(),
        json.dumps(a_report(last_key=float("-inf"))).encode(),
    ],
)
def test_a_report_that_is_none_is_called_nonsense(body: bytes) -> None:
    with pytest.raises(NonsenseReport):
        read_report(a_grant(kind=Kind.INSPECT), body)


@pytest.mark.parametrize(
    ("fps", "base", "milli"),
    [(24, 0.0, 24_000), (24, -1.0, 24_000), (24, 0.001, 10**7), (1, 1e9, 1), (1e308, 1, 10**7)],
)
def test_whatever_speed_a_blend_gives_its_film_it_is_inspected(fps: float, base: float, milli: int) -> None:
    scene = {**a_report()["scene"], "fps": fps, "fps_base": base}
    report = read_report(a_grant(kind=Kind.INSPECT), json.dumps(a_report(scene=scene)).encode())
    assert report.facts is not None
    assert report.facts.fps_milli == milli


def test_long_lists_of_a_report_are_cut() -> None:
    report = read_report(a_grant(), json.dumps(a_report(scenes=["s" * 500] * 1_000)).encode())
    assert report.facts is not None
    assert len(report.facts.scenes) == LIST_BYTES // 203


def test_the_worst_report_a_file_can_cause_fits_into_one_message_and_so_does_the_verdict() -> None:
    bad = "\U0001f600" * 300
    lists = {name: [bad] * 200 for name in ("scenes", "missing_blocks", "addons", "addon_data")}
    gaps = [{"name": bad, "frames": [[1, 2]] * 100}] * 200
    more = {
        "files": [a_file(path=bad, exists=False, used=used) for used in (True, False) for _ in range(200)],
        "file_outputs": [{"node": bad, "path": bad}] * 200,
        "unbaked_simulations": [{"kind": bad, "object": bad}] * 200,
        "scripted_drivers": [{"owner": bad, "expression": bad}] * 200,
        "shots": [[-1_048_574, -1_048_574, 1_000]] * 200,
    }
    report = read_report(a_grant(), json.dumps(a_report(**lists, gaps=gaps, **more)).encode())
    assert len(report.model_dump_json()) < MAX_MESSAGE_BYTES / 2, "the other half is for the findings"
    assert report.facts is not None
    assert report.facts.missing, "something of each is told"
    assert len(report.facts.shots) == 100


@pytest.mark.parametrize("shots", [[[1, 2]], [[1, 2, -1]], [[1, 2, 9_999]], [["a", 2, 0]], [1], [[0, 10**9, 0]]])
def test_nonsense_about_shots_is_nonsense(shots: list[Any]) -> None:
    with pytest.raises(NonsenseReport):
        read_report(a_grant(), json.dumps(a_report(shots=shots)).encode())


def test_letters_that_no_message_may_hold_are_replaced() -> None:
    report = read_report(a_grant(), json.dumps(a_report(scenes=["half \ud83d"])).encode())
    assert report.facts is not None
    assert report.facts.scenes == ("half ?",)
