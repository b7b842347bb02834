"""How good is the policy? The scheduler's own code in virtual time (`tests.sim`), beside first come, first served in tens.

Every seed is a world of its own, lived under our policy, every fourth one under both. `BENCH_SEEDS` (20), `BENCH_PROCESSES` (one
per core) and `BENCH_HUGE=0` (leaves out the run of 5,000 agents and a million frames) make it shorter.
"""

import asyncio
import math
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from services.scheduler.domain.policy import Policy
from tests.bench.ground import number
from tests.bench.report import Row, publish, row
from tests.sim import measures, pictures, replay
from tests.sim.trial import Trial, apart, live, speed_up
from tests.sim.world import World
from tests.sim.worlds import BIDS

SEEDS = 20
WORLDS = ("calm", "rough", "market")
AGENTS = (1, 2, 5, 10, 20, 50, 100)
LONGEST = "ten minutes"
BOUND = "lower bound: ΣWU ÷ Σ speed while present"


async def main() -> None:
    with ThreadPoolExecutor(number("BENCH_PROCESSES", os.cpu_count() or 1)) as pool:
        began = time.monotonic()
        one_each = [pool.submit(apart, speed_up, agents) for agents in reversed(AGENTS)]
        trials = await asyncio.to_thread(_trials, pool)
        speeds = dict(zip(reversed(AGENTS), [await asyncio.wrap_future(one) for one in one_each], strict=True))
        whole = time.monotonic() - began
        huge = [await asyncio.wrap_future(pool.submit(apart, live, "huge", 1, "ours"))] if number("BENCH_HUGE", 1) else []
    times = {agents: one.makespan or math.nan for agents, one in speeds.items()}
    pictures.table([*trials, *speeds.values(), *huge])
    pictures.speed_up(times)
    pictures.ratios(trials)
    replayed = await _replayed()
    rows = [*_ours(trials), *_naive(trials), *_wall(trials, whole, huge), *replayed]
    publish(
        "simulator", [*rows, *(row(f"speed-up, {n} equal agents", "×", [times[1] / times[n]], better="higher") for n in AGENTS)]
    )


def _trials(pool: ThreadPoolExecutor) -> list[Trial]:
    seeds = range(1, number("BENCH_SEEDS", SEEDS) + 1)
    wanted = [(world, seed, policy) for seed in seeds for world in WORLDS for policy in ("ours", "naive")[: 1 + (seed % 4 == 1)]]
    queues = [("queue", 1, "naive"), *((world, seed, "ours") for world in ("queue", "bids") for seed in (1, 2, 3))]
    futures: list[Future[Trial]] = [pool.submit(apart, live, *one) for one in (*queues, *wanted)]
    lived: list[Trial] = []
    for future in futures:
        lived.append(future.result())
        pictures.table(lived)  # whoever interrupts it keeps what there is
    return lived


def _of(trials: Sequence[Trial], world: str, policy: str, what: str) -> list[float]:
    found = [getattr(one, what) for one in trials if (one.world, one.policy) == (world, policy)]
    return [one for one in found if one is not None]


def _ours(trials: Sequence[Trial]) -> list[Row]:
    return _policy(trials, "ours", "")


def _naive(trials: Sequence[Trial]) -> list[Row]:
    return _policy(trials, "naive", "naive: ")


def _policy(trials: Sequence[Trial], policy: str, mark: str) -> list[Row]:
    def values(world: str, what: str) -> list[float]:
        return _of(trials, world, policy, what)

    calm, rough = values("calm", "ratio"), values("rough", "ratio")
    kept = [one.kept for one in trials if one.kept is not None and one.policy == policy]
    return [
        row(f"{mark}makespan / lower bound", "", calm, baseline=BOUND, against=[1.0]),
        _p95(f"{mark}makespan / lower bound, P95 with churn", rough),
        _share(f"{mark}deadlines kept", kept),
        row(f"{mark}Jain index", "", values("market", "jain"), better="higher", note="4 equal renters, until the first is done"),
        row(f"{mark}duplicate work", "", values("rough", "duplicate"), note="10 % slow, 20 % churn"),
        _waits(f"{mark}ten frames behind 100,000, to their first chunk", trials, policy),
        *([] if mark else [_least(values("bids", "least")), *_promises(trials)]),
        *([] if mark else [_aim(world, values(world, "aim")) for world in WORLDS]),
    ]


def _waits(measure: str, trials: Sequence[Trial], policy: str) -> Row:
    """Beside the goal: as long as a chunk takes."""
    waits = [wait for one in trials if one.policy == policy for wait in one.waits]
    late = sum(wait > Policy().chunk for wait in waits)
    note = f"{len(waits)} jobs, {late} of them later than a chunk"
    return row(measure, "s", waits, baseline="one chunk time", against=[Policy().chunk], note=note)


def _least(found: Sequence[float]) -> Row:
    """Beside the goal: whatever the others bid, a twentieth of a fair share."""
    bids = ", ".join(f"{bid:,}" for bid in BIDS)
    measure = "least share / fair share, at very different bids"
    return row(
        measure, "", found, baseline="goal", against=[0.05], better="higher", note=f"bids of {bids}; 10 % slow, 20 % churn"
    )


def _promises(trials: Sequence[Trial]) -> list[Row]:
    """Whether what was said of deadlines when the price was made came true."""
    ours = [one for one in trials if one.policy == "ours"]
    good = [one.feasible for one in ours if one.feasible is not None and one.feasible[1]]
    bad = [one.impossible for one in ours if one.impossible is not None and one.impossible[1]]
    rows = [_share("deadlines kept of those said to be feasible", good)] if good else []
    return [*rows, _share("deadlines kept of those said to be impossible", bad)] if bad else rows


def _aim(world: str, found: Sequence[float]) -> Row:
    """The share of chunks that took what was aimed at; not those that a job's end or another job's turn made shorter."""
    return row(f"chunks within 25 % of 60 s after 3, {world}", "", found, better="higher")


def _p95(measure: str, values: Sequence[float]) -> Row:
    """The value that 95 % of the seeds do not exceed (nearest rank)."""
    ordered = sorted(values)
    found = ordered[math.ceil(0.95 * len(ordered)) - 1]
    note = f"median {statistics.median(ordered):.3f}"
    return Row(measure, "", found, ordered[0], ordered[-1], len(ordered), BOUND, 1.0, found, note=note)


def _share(measure: str, kept: Sequence[tuple[int, int]]) -> Row:
    """Of all deadlines of all seeds; the spread is between seeds."""
    each = [good / of for good, of in kept]
    share = sum(good for good, _ in kept) / sum(of for _, of in kept)
    return Row(
        measure, "", share, min(each), max(each), len(kept), better="higher", note=f"{sum(of for _, of in kept)} deadlines"
    )


def _wall(trials: Sequence[Trial], whole: float, huge: Sequence[Trial]) -> list[Row]:
    """What the simulator itself costs. `whole`: seconds for all but the huge one."""
    calm = [one.wall for one in trials if one.world == "calm" and one.policy == "ours"]
    rows = [
        row("100 agents, 20,000 frames: real time", "s", calm),
        row("all tables: real time", "s", [whole], baseline=LONGEST, against=[600.0], note=f"{len(calm)} seeds"),
    ]
    for one in huge:
        rows.append(row(f"5,000 agents, {one.frames:,} frames: real time", "s", [one.wall], baseline=LONGEST, against=[600.0]))
        rows.append(
            row("5,000 agents, 1 M frames: makespan / lower bound", "", [one.ratio or math.nan], note="10 % slow, 20 % churn")
        )
    return rows


async def _replayed() -> list[Row]:
    """Recorded runs of the real farm, through the simulator."""
    rows = []
    for path in sorted(replay.FOLDER.glob("*.json")):
        recording = replay.load(path)
        world = World(replay.setting(recording), Policy(chunk=recording.chunk_seconds))
        await world.run()
        simulated = measures.outcome(world).makespan
        name = f"replay of a real run, {path.stem}: makespan"
        rows.append(row(name, "s", [simulated], baseline="as recorded", against=[recording.makespan]))
    return rows
