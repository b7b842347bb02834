"""What one flooding agent does to the others: from ready to assigned before, while it floods for a minute, and after.

The real scheduler, broker and database; honest agents that do not render and ask at a steady rate; the flooder is a process of
its own on the same machine with a real credential, says all that the broker takes and, thrown out, logs in again and again.
"""

import asyncio
import gc
import statistics
from dataclasses import dataclass, field
from typing import Any

from tests.bench.ground import AS_IN_PRODUCTION, a_world, number, repeats, seconds
from tests.bench.report import Row, publish, row
from tests.security.flood import Flooded, a_busy_farm, flooding

AGENTS, RATE = number("BENCH_AGENTS", 200), number("BENCH_RATE", 50)
BEFORE, DURING = 15.0, 60.0
TURNS = 1
KINDS = ("valid", "broken")


@dataclass
class Found:
    """Seconds from ready to assigned."""

    before: list[float] = field(default_factory=list)
    during: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    parked: int = 0


async def main() -> None:
    rows: list[Row] = []
    async with a_world() as world, a_busy_farm(world, AGENTS, **AS_IN_PRODUCTION, FRAMELEND_LEASE_SECONDS="300") as farm:
        await _waits(farm, 5)
        gc.freeze()
        gc.disable()  # what stops this process looks as if the farm were late
        for kind in KINDS:
            found = Found()
            for _ in range(repeats(TURNS)):
                await _turn(farm, kind, found)
            rows += _rows(kind, found)
        assert not farm.swarm.tally.wrong, farm.swarm.tally.wrong[:10]
    publish("flood", rows)


async def _turn(farm: Flooded, kind: str, found: Found) -> None:
    lender, parked = await farm.a_lender(), await farm.parked()
    found.before += await _waits(farm, seconds(BEFORE))
    async with flooding(lender, kind, seconds(DURING)) as flooder:
        found.during += await _waits(farm, seconds(DURING))
        found.told.append(await flooder)
    assert found.told[-1]["logins"] == 1, f"it was to come in once: {found.told[-1]}"
    found.after += await _waits(farm, seconds(BEFORE))
    found.parked = max(found.parked, await farm.parked() - parked)


async def _waits(farm: Flooded, length: float) -> list[float]:
    farm.swarm.tally.waits.clear()
    made, took = await farm.swarm.open_loop(RATE, length)
    assert made >= RATE * length * 0.98, f"the others did not keep up: {made / took:.0f}/s"
    await farm.swarm.all_hold()
    return list(farm.swarm.tally.waits)


def _rows(kind: str, found: Found) -> list[Row]:
    told = found.told[-1]
    cut = "never" if told["cut_after"] is None else f"after {told['cut_after']:.2f} s"
    how = f"{told['said']} messages said, cut off {cut}, {told['refused']} more logins refused, {found.parked} parked"
    base = [_ms(found.before, 99)]
    late = sum(1000 * wait > 2 * base[0] for wait in found.during)
    return [
        row(f"p50 before, {kind} flood", "ms", [_ms(found.before, 50)], note=f"{AGENTS} agents, {RATE} assignments/s"),
        row(f"p99 before, {kind} flood", "ms", base),
        row(f"p99 during, {kind} flood", "ms", [_ms(found.during, 99)], baseline="p99 before", against=base, note=how),
        row(f"longest during, {kind} flood", "ms", [max(found.during) * 1000]),
        row(f"later than twice p99 before, {kind} flood", "waits", [late], note=f"of {len(found.during)}"),
        row(f"p99 after, {kind} flood", "ms", [_ms(found.after, 99)], baseline="p99 before", against=base),
    ]


def _ms(waits: list[float], percent: int) -> float:
    return statistics.quantiles(waits, n=100)[percent - 1] * 1000


if __name__ == "__main__":
    asyncio.run(main())
