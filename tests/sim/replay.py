"""A real run through the simulator: the same machines and the same frames, and whatever the scheduler makes of them now.

A recording is what the logs of a run say: who was given which frames when, and when each picture was stored. How fast a machine
is follows from its frames beside their neighbours that others rendered; what a frame costs, from its time on that machine.
`python -m tests.sim.replay SCHEDULER_LOG STORAGE_LOG JOB OUT CHUNK_SECONDS` makes a recording.
"""

import json
import statistics
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.sim.machine import START, UPLOAD
from tests.sim.setting import CALM, Nature, Order, Setting

NEIGHBOURS = 4
"""Frames on both sides that a frame is held against."""
FOLDER = Path(__file__).parent / "recordings"


@dataclass(frozen=True)
class Taken:
    """One frame: by whom, and from when to when in seconds since the price was held."""

    frame: int
    agent: str
    began: float
    stored: float

    @property
    def seconds(self) -> float:
        return max(0.1, self.stored - self.began - START - UPLOAD)


@dataclass(frozen=True)
class Recording:
    """`taken` has every frame; those of sampling begin before 0."""

    total: int
    chunk_seconds: int
    makespan: float
    taken: tuple[Taken, ...]


def load(path: Path) -> Recording:
    raw = json.loads(path.read_text())
    return Recording(raw["total"], raw["chunk_seconds"], raw["makespan"], tuple(Taken(**one) for one in raw["taken"]))


def setting(recording: Recording) -> Setting:
    """The world of a recording. The house's frames tell costs, but it is not one of the lenders."""
    speeds = _speeds(recording.taken)
    costs = {one.frame: one.seconds * speeds[one.agent] for one in recording.taken}
    lenders = sorted({one.agent for one in recording.taken} - {"house"})
    machines = tuple(Nature(speeds[agent], speeds[agent], 1.0) for agent in lenders)
    micros = tuple(int(costs[frame] * 1e6) for frame in range(1, recording.total + 1))
    order = Order("film", "ada", recording.total, sum(costs.values()) / recording.total, costs=micros)
    return Setting(1, len(machines), (order,), CALM, machines=machines, tick=0.05)


def _speeds(taken: tuple[Taken, ...]) -> dict[str, float]:
    """How much faster each machine's frames came than their neighbours."""
    by_frame = {one.frame: one for one in taken}
    found: dict[str, list[float]] = defaultdict(list)
    for one in taken:
        near = [by_frame[at].seconds for at in range(one.frame - NEIGHBOURS, one.frame + NEIGHBOURS + 1) if at in by_frame]
        found[one.agent].append(statistics.mean(near) / one.seconds)
    return {agent: statistics.median(ratios) for agent, ratios in found.items()}


# --- from logs


def record(scheduler: Path, storage: Path, job: str, chunk_seconds: int) -> Recording:
    """For attempts of one frame each, as short chunks have them."""
    said = [one for one in _lines(scheduler) if one.get("job") == job]
    moved = {one["state"]: _at(one) for one in said if one["event"] == "job moved"}
    zero, ended = moved["queued"], moved["packaging"]
    began = {one["attempt"]: _at(one) - zero for one in said if one["event"] == "chunk assigned"}
    names: dict[str, str] = {"house": "house"}
    taken = []
    for one in _lines(storage):
        if one["event"] == "frame settled" and one["job"] == job and one["outcome"] == "stored":
            name = names.setdefault(one["agent"], f"lender-{len(names)}")
            taken.append(Taken(int(one["frame"]), name, round(began[one["attempt"]], 2), round(_at(one) - zero, 2)))
    return Recording(len(taken), chunk_seconds, round(ended - zero, 2), tuple(sorted(taken, key=lambda one: one.frame)))


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def _at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()


if __name__ == "__main__":
    made = record(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[5]))
    Path(sys.argv[4]).write_text(json.dumps(asdict(made)).replace('{"frame"', '\n{"frame"') + "\n")
