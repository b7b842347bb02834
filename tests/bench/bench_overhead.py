"""What the farm costs beside rendering: a job on one agent with all cores, and a bare loop of the same frames in the same image.

From the renter's approval to the last `FramesStored`; services, broker, database and store share the cores and are counted. One
house agent does all, since the smallest farm has just that. Where the rest goes is read from the agent's spans.
"""

import asyncio
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
from framelend import Client

from contracts.events import FramesStored
from contracts.values import Kind
from tests.bench.bare import Timeline, bare_loop
from tests.bench.ear import Ear
from tests.bench.ground import AS_IN_PRODUCTION, a_world, repeats
from tests.bench.report import Row, publish, row
from tests.bench.usage import INFRASTRUCTURE, STORE, Usage, since, usage
from tests.farm.farmhouse import Account, Farm
from tests.farm.renting import reached, settled, submitted
from tests.integration.world import World
from tests.scenes import build_scenes
from tests.waiting import until

SAMPLES = 1
"""Sampling comes before approval; one frame is enough where all cost the same."""
BASELINE = "bare Blender loop in one container of the same image"
PARTS = ("assignment", "bundle", "startup", "rendering", "delivery", "rest", "attempts")
ATTEMPT = "framelend.attempt"


@dataclass(frozen=True)
class Form:
    """`name` as in the measure's text: CPU seconds of one frame."""

    name: str
    scene: str
    frames: int
    pairs: int


FORMS = (Form("1 s", "bench_1s", 40, 5), Form("5 s", "bench_5s", 12, 5), Form("30 s", "bench_30s", 4, 5))


@dataclass
class Pairs:
    farm: list[Timeline] = field(default_factory=list)
    bare: list[Timeline] = field(default_factory=list)

    def rows(self, form: Form) -> list[Row]:
        ratios = [mine.total / other.total for mine, other in zip(self.farm, self.bare, strict=True)]
        wall, frame = (statistics.median(one.total for one in each) for each in (self.farm, self.bare)), self._frame(form)
        note = f"{form.frames} frames of {frame:.2f} s wall each; {' against '.join(f'{one:.1f} s' for one in wall)}"
        measure = f"farm / bare loop, {form.name} frames"
        ratio = row(measure, "ratio", ratios, baseline=BASELINE, against=[1.0], note=note)
        return [ratio, self._at_equal_speed(form), *(self._part(form, p) for p in PARTS), *self._cpu(form)]

    def _at_equal_speed(self, form: Form) -> Row:
        """A shared machine's cores run faster and slower from one minute to the next: a run's wall time and its frames' CPU
        seconds, which are the same work, grow together. Their quotient does not."""
        mine, other = ([one.total / one.work for one in each] for each in (self.farm, self.bare))
        measure = f"farm / bare loop, {form.name} frames, wall per CPU second rendered"
        return row(measure, "ratio", [a / b for a, b in zip(mine, other, strict=True)], baseline=BASELINE, against=[1.0])

    def _cpu(self, form: Form) -> list[Row]:
        """Of the farm's own processes; what they take on a full machine is missing for rendering."""
        spent = {name: [one.cpu[name] * 1000 / form.frames for one in self.farm] for name in self.farm[0].cpu}
        return [row(f"{form.name} frames, CPU per frame, {name}", "ms", values) for name, values in spent.items()]

    def _part(self, form: Form, part: str) -> Row:
        mine, other = ([float(getattr(one, part)) for one in each] for each in (self.farm, self.bare))
        return row(f"{form.name} frames, of it {part}", "s", mine, baseline=BASELINE, against=other)

    def _frame(self, form: Form) -> float:
        return statistics.median(one.rendering for one in self.bare) / form.frames


class Rental:
    """The farm, one agent, a renter with credits."""

    def __init__(self, farm: Farm, renter: Account, ear: Ear, image: str, usage: Usage) -> None:
        self.farm, self._renter, self._ear, self.image, self._usage = farm, renter, ear, image, usage

    async def run(self, scene: Path, number: int) -> Timeline:
        """Frame 1 is sampled, the others are rendered after approval; returns when the job is settled and all is quiet."""
        job = await submitted(self.farm, self._renter, scene, f"1-{number + SAMPLES}")
        with Client(self.farm.url, self._renter.key) as client:
            await asyncio.to_thread(reached, client, job, lambda one: one.quote is not None and one.quote.open, 300)
            approved, before = time.time(), self._usage.cpu()
            await asyncio.to_thread(client.accept, job, 1)
        await until(lambda: self._stored(job)[1] == number, "every frame is stored", 600)
        spent = since(before, self._usage.cpu())
        done = await settled(self.farm, self._renter, job)
        assert done.state == "completed", done.reason
        return replace(await self._timeline(job, approved, self._stored(job)[0]), cpu=spent)

    def _stored(self, job: str) -> tuple[float, int]:
        """(when the last came, how many)."""
        told = self._ear.of(FramesStored, job=job, kind=Kind.RENDER)
        return max((at for at, _ in told), default=0.0), sum(len(one.frames) for _, one in told)

    async def _timeline(self, job: str, approved: float, ended: float) -> Timeline:
        spans = await until(lambda: self._spans(job), f"the agent's spans of {job}", 20)
        attempts = sorted((span for span in spans if span["name"] == "attempt"), key=lambda span: float(span["start"]))
        steps = [[s for s in spans if s["attributes"].get(ATTEMPT) == a["attributes"][ATTEMPT]] for a in attempts]
        frames = [sorted((s for s in each if s["name"] == "frame"), key=lambda s: float(s["start"])) for each in steps]
        bundle = [sum(_length(s) for s in each if s["name"] == "bundle") for each in steps]
        begun = [one["start"] for one in attempts]
        free = [approved, *(each[-1]["end"] for each in frames[:-1])]
        return Timeline(
            total=ended - approved,
            rendering=sum(_length(frame) for each in frames for frame in each),
            work=sum(int(frame["attributes"]["framelend.cpu_micros"]) / 1e6 for each in frames for frame in each),
            startup=sum(each[0]["start"] - at - took for each, at, took in zip(frames, begun, bundle, strict=True)),
            assignment=sum(at - before for at, before in zip(begun, free, strict=True)),
            bundle=sum(bundle),
            delivery=ended - frames[-1][-1]["end"],
            attempts=len(attempts),
        )

    async def _spans(self, job: str) -> list[dict[str, Any]]:
        """Of its rendering attempts, once every attempt has ended and none is on its way."""
        async with httpx.AsyncClient(base_url=self.farm.world.farm.http("TRACEBOX"), trust_env=False) as tracebox:
            ids = (await tracebox.get("/api/traces", params={"attribute": "framelend.job", "value": job})).json()
            found = [span for id in ids for span in (await tracebox.get(f"/api/traces/{id}")).json()]
        mine = [s for s in found if s["service"] == "agent" and s["attributes"].get("framelend.kind") == Kind.RENDER.value]
        named = {span["attributes"][ATTEMPT] for span in mine if span["name"] == "attempt"}
        told = {one.attempt for _, one in self._ear.of(FramesStored, job=job, kind=Kind.RENDER)}
        return mine if told and named == told else []


def _length(span: dict[str, Any]) -> float:
    return float(span["end"] - span["start"])


def _wanted() -> list[Form]:
    """All, or those that BENCH_FORMS names: `BENCH_FORMS="1 s,5 s"`."""
    named = [name.strip() for name in os.environ.get("BENCH_FORMS", "").split(",") if name.strip()]
    return [form for form in FORMS if not named or form.name in named]


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with a_world() as world:
            rental = await _rental(world, Path(folder))
            scenes = await asyncio.to_thread(build_scenes, Path(folder) / "scenes")
            rows = [line for form in _wanted() for line in (await _pairs(rental, scenes, form)).rows(form)]
    publish("overhead", rows)


async def _rental(world: World, folder: Path) -> Rental:
    farm, ear = Farm(world, folder / "agents"), Ear(world, FramesStored)
    await farm.open(**AS_IN_PRODUCTION, FRAMELEND_SAMPLES=str(SAMPLES))
    await ear.open()
    await farm.lend("operator", "house", house=True)
    used = usage({**farm.services, **farm.agents}, {**INFRASTRUCTURE, **STORE}, "the benchmark")
    engine = {one.name(): one.pid for one in psutil.process_iter() if one.name() == "dockerd"}
    renamed = {"agent" if name in farm.agents else name: pid for name, pid in used.pids.items()}
    everybody = Usage({**renamed, **engine}, used.measuring)
    return Rental(farm, await farm.account("rita", credits=10_000), ear, world.farm["FARM_RENDER_IMAGE"], everybody)


async def _pairs(rental: Rental, scenes: Path, form: Form) -> Pairs:
    found = Pairs()
    numbers = range(1 + SAMPLES, 1 + SAMPLES + form.frames)

    async def farm() -> None:
        found.farm.append(await rental.run(scenes / form.scene, form.frames))

    async def bare() -> None:
        found.bare.append(await asyncio.to_thread(bare_loop, rental.image, scenes / form.scene, numbers))

    for turn in range(min(form.pairs, repeats(form.pairs))):
        for run in (farm, bare) if turn % 2 == 0 else (bare, farm):
            await run()
        print(f"  {form.name}: {found.farm[-1]}\n        {found.bare[-1]}", flush=True)
    return found
