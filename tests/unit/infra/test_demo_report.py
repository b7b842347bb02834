"""The demo's judgement of itself, on events as they are heard: what it counts, and what makes it a failure."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from framelend.models import Job

from contracts.events import AgentReady, FramesStored, JobEstimated
from contracts.events.frames import StoredFrame
from contracts.values import MICRO, Band, Benchmark, Curve, Hardware, Kind, Knot, ranges
from contracts.work import BENCHMARK_MICRO_WU
from infra.demo import report
from infra.demo.play import Times
from infra.demo.report import ASKED, Books, Brought
from infra.demo.witness import Witness
from infra.local.agents import HOUSE
from infra.local.farmfile import FarmFile

NOW = 1_000.0
SECOND = Benchmark(cpu_micros=BENCHMARK_MICRO_WU, wall_micros=BENCHMARK_MICRO_WU)
LENDERS = ("lena-1", "leo-1")
IN_ORDER = Books(0, 0)
LETTERS = ("Quote for job job: 1 credits", "Job job is ready to download", "Invoice for job job: 1 credits")
ALL_THERE = Brought(tuple(f"{number:06}.png" for number in range(1, 49)), report.FILES, LETTERS)


def a_witness(agents: tuple[str, ...]) -> Witness:
    witness = Witness(
        FarmFile({"FARM_RABBIT_ADMIN_USER": "a", "FARM_RABBIT_ADMIN_PASSWORD": "b", "FARM_AMQP_PORT": "1", "FARM_VHOST": "f"})
    )
    hardware = Hardware(cores=1, memory_bytes=1 << 30)
    for agent in agents:
        ready = AgentReady(run="01", slots=1, hardware=hardware, benchmark=SECOND, images=())
        witness.hear(f"ready {agent}", f"{agent}.{AgentReady.key()}", ready, NOW)
    return witness


def stored(agent: str, *numbers: int, seconds: float = 1.0) -> FramesStored:
    frames = tuple(
        StoredFrame(
            frame=number, file_sha256="a" * 64, pixel_sha256="b" * 64, bytes=9, cpu_micros=MICRO, seconds=seconds, key=f"{number}"
        )
        for number in numbers
    )
    return FramesStored(
        job="job",
        chunk=f"c{numbers[0]}",
        attempt=f"a{numbers[0]}",
        agent=agent,
        kind=Kind.RENDER,
        generation=0,
        version=1,
        frames=frames,
    )


def played(witness: Witness) -> None:
    """Lena is twice as fast as Leo, the house took one frame; Leo's frames are told twice."""
    for message, fact in (
        ("1", stored(LENDERS[0], *range(1, 32))),
        ("2", stored(LENDERS[1], *range(32, 48), seconds=2.0)),
        ("2", stored(LENDERS[1], *range(32, 48), seconds=2.0)),
        ("3", stored(HOUSE.agent, 48)),
    ):
        witness.hear(message, FramesStored.key(), fact, NOW + 5)


def a_job(counted: dict[str, int], stored: int = ASKED) -> Job:
    nothing: dict[str, Any] = dict.fromkeys(
        ("price", "max_cost", "deadline", "control", "quote", "refusal", "remaining_seconds", "failure", "files_until")
    )
    lines = [{"agent": one, "rendering": [], "stored": n, "wu_per_minute": 60.0, "earned": "0.5"} for one, n in counted.items()]
    return Job.model_validate(
        {
            **nothing, "id": "job", "name": "job", "state": "completed", "reason": "", "submitted_at": datetime.now(UTC),
            "stored": stored, "total": ASKED, "charged": "1", "revision": 1, "ended": True, "bundle": "b", "blend": "b.blend",
            "asked_frames": "1-48", "frames": "1-48", "price_per_wu": "0.02", "findings": [], "width": 1, "height": 1,
            "fps": 24.0, "deposit": "0", "held": "0", "agents": lines, "files": [],
            "settlement": {"outcome": "completed", "held": "1", "charged": "1", "released": "0", "lines": []},
        }
    )  # fmt: skip


def told(job: Job, witness: Witness, books: Books = IN_ORDER, folder: Brought = ALL_THERE) -> dict[str, Any]:
    curve = Curve(knots=(Knot(frame=1, micro_wu=MICRO), Knot(frame=48, micro_wu=MICRO)))
    band = Band(low=40 * MICRO, expected=48 * MICRO, high=50 * MICRO)
    estimate = JobEstimated(
        job="job", account="rita", version=1, curve=curve, frames=ranges(range(1, 49)), micro_wu=band, seconds=band
    )
    return report.told(job, witness, estimate, TIMES, books, folder)


TIMES = Times(NOW, {"set up": 1.0, "first picture": 2.0, "downloaded": 3.0, "done": 4.0})
EVERYBODY = {LENDERS[0]: 31, LENDERS[1]: 16, HOUSE.agent: 1}


def test_a_demo_that_went_well_says_so_and_sets_the_lenders_beside_each_other() -> None:
    witness = a_witness((*LENDERS, HOUSE.agent))
    played(witness)
    found = told(a_job(EVERYBODY), witness)
    assert report.faults(found) == []
    assert found["speed_ratio"]["wupm_by_wall"] == 2.0
    assert {one["id"]: (one["frames"], one["wall_seconds"]) for one in found["agents"]}[LENDERS[1]] == (16, 32.0), "told once"
    assert witness.first_picture == NOW + 5


@pytest.mark.parametrize("unknown", [HOUSE.agent, LENDERS[0]])
def test_an_agent_whose_speed_was_not_heard_makes_it_a_failure(unknown: str) -> None:
    """As when a farm was up before: the report would leave out what that agent has rendered."""
    witness = a_witness(tuple({*LENDERS, HOUSE.agent} - {unknown}))
    played(witness)
    found = told(a_job(EVERYBODY), witness)
    assert any("frames were measured" in fault for fault in report.faults(found))


def test_missing_frames_wrong_books_and_a_silent_dashboard_are_failures() -> None:
    witness = a_witness((*LENDERS, HOUSE.agent))
    played(witness)
    assert "1 frames are missing" in report.faults(told(a_job(EVERYBODY, stored=47), witness))
    assert report.faults(told(a_job(EVERYBODY), witness, Books(7, 0))) == ["the ledger sums to 7 micro-credits instead of 0"]
    assert report.faults(told(a_job(EVERYBODY), witness, Books(0, 2))) == ["2 balances are not what the postings say"]
    silent = {**told(a_job(EVERYBODY), witness), "dashboard_silent": ["Errors"]}
    assert report.faults(silent) == ["1 queries of the dashboard have no data"]


def test_without_film_pictures_or_letters_it_is_a_failure(tmp_path: Path) -> None:
    witness = a_witness((*LENDERS, HOUSE.agent))
    played(witness)
    for name in ("frames/000001.png", *(set(report.FILES) - {"film.mp4"})):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "film.mp4").touch()
    found = told(a_job(EVERYBODY), witness, folder=report.brought(tmp_path, LETTERS[:1]))
    assert report.faults(found) == [
        "film.mp4 is not there",
        "1 of 48 pictures are there",
        "no letter said 'is ready to download', nor 'Invoice for job'",
    ]


@pytest.mark.parametrize(("stored", "is_well"), [(48, True), (47, False)])
def test_what_is_kept_says_how_long_it_took_to_the_end_and_whether_it_went_well(
    tmp_path: Path, stored: int, is_well: bool
) -> None:
    witness = a_witness((*LENDERS, HOUSE.agent))
    played(witness)
    report.keep(tmp_path, told(a_job(EVERYBODY, stored=stored), witness), TIMES)
    kept = json.loads((tmp_path / "report.json").read_text())
    assert (kept["ok"], kept["seconds"]["total"], kept["steps"]) == (is_well, 4.0, TIMES.marks)


def test_one_lender_alone_has_no_ratio() -> None:
    witness = a_witness((*LENDERS, HOUSE.agent))
    witness.hear("1", FramesStored.key(), stored(LENDERS[0], *range(1, 49)), NOW)
    assert told(a_job({LENDERS[0]: 48}), witness)["speed_ratio"] == {"wupm_learned": 0.0, "wupm_by_wall": 0.0}
