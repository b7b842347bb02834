"""How good quotes are: twenty of each of twelve films by the scheduler's own code, against every frame's measured cost; beside
them the same quotes from five frames evenly spaced with both ends.

`python -m tests.bench.bench_quotes tuning` judges the films that the estimate was tuned on, for whoever tunes it.
"""

import asyncio
import math
import statistics
import sys
from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from services.scheduler.domain.policy import Policy
from tests.bench.films import shots, truth
from tests.bench.ground import repeats
from tests.bench.judge import Verdict, judged, lasting, start
from tests.bench.report import FOLDER, Row, publish, row

QUOTES = 20
EVEN = Policy(large_job=10**9)
"""What small jobs get: five frames with both ends, one round, no witness."""
BASELINE = "five frames evenly spaced with both ends"
CONFIDENCE = 1.96
SHARE = 0.03
"""Of a job's work: what its samples may cost."""


async def main(which: str = "judged") -> None:
    films, known = await asyncio.to_thread(truth, which), await asyncio.to_thread(shots, which)
    seeds, first = range(repeats(QUOTES)), start(films.values())
    ours = [judged(film, costs, seed, Policy(), first, known[film]) for film, costs in films.items() for seed in seeds]
    plain = [judged(film, costs, seed, EVEN, first) for film, costs in films.items() for seed in seeds]
    publish("quotes" if which == "judged" else f"quotes-{which}", [*rows(ours, plain), *(_film(ours, film) for film in films)])
    picture(films, ours, which)


def rows(ours: Sequence[Verdict], plain: Sequence[Verdict]) -> list[Row]:
    far, other = ([abs(one.error) for one in each] for each in (ours, plain))
    low, high = wilson(sum(one.inside for one in ours), len(ours))
    number = len(ours)
    return [
        row("median quote error", "", far, baseline=BASELINE, against=other, note=f"{number} quotes"),
        Row(
            "P90 quote error", "", _part(far, 0.9), 0.0, max(far), number, BASELINE, _part(other, 0.9),
            _part(far, 0.9) / _part(other, 0.9),
        ),
        Row(
            "band holds", "", _inside(ours), low, high, number, BASELINE, _inside(plain), _inside(ours) / _inside(plain),
            "higher", "spread: Wilson's 95 % interval, quotes taken as independent",
        ),
        row("half width of the band", "", [one.half_width for one in ours], against=[p.half_width for p in plain]),
        row("cost of sampling", "", [one.cost for one in ours], against=[p.cost for p in plain]),
        _dear(ours, plain),
        row("frames sampled", "frames", [float(one.samples) for one in ours], against=[float(p.samples) for p in plain]),
    ]  # fmt: skip


def _dear(ours: Sequence[Verdict], plain: Sequence[Verdict]) -> Row:
    """How often sampling cost more than it may: with a liar among the six machines, and without."""
    mine, other = (sum(one.cost > SHARE for one in each) / len(each) for each in (ours, plain))
    honest = [one for one in ours if not one.liars]
    alone = sum(one.cost > SHARE for one in honest)
    note = f"{alone} of the {len(honest)} without a liar"
    return Row("quotes whose sampling cost more than 3 %", "", mine, 0.0, 1.0, len(ours), BASELINE, other, note=note)


def _film(verdicts: Sequence[Verdict], film: str) -> Row:
    mine = [one for one in verdicts if one.film == film]
    bias = statistics.median(one.error for one in mine) * 100
    return row(f"{film}: error", "", [abs(one.error) for one in mine], note=f"{_inside(mine):.0%} inside, bias {bias:+.1f} %")


def _inside(verdicts: Sequence[Verdict]) -> float:
    return sum(one.inside for one in verdicts) / len(verdicts)


def _part(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def wilson(good: int, number: int) -> tuple[float, float]:
    """Of a share (E. B. Wilson 1927, J. Am. Stat. Assoc. 22)."""
    share, z = good / number, CONFIDENCE
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z * math.sqrt(share * (1 - share) / number + z * z / (4 * number * number)) / (1 + z * z / number)
    return middle - half, middle + half


def picture(films: Mapping[str, Sequence[int]], verdicts: Sequence[Verdict], which: str) -> None:
    """`build/bench/quotes.png`: a quote of each film, with its band, over what every frame cost."""
    figure, axes = plt.subplots(-(-len(films) // 3), 3, figsize=(15, 3 * -(-len(films) // 3)), squeeze=False)
    for at, (film, costs) in enumerate(films.items()):
        mine = sorted((one for one in verdicts if one.film == film), key=lambda one: abs(one.error))
        _panel(axes[at // 3][at % 3], costs, mine[len(mine) // 2])
    figure.tight_layout()
    figure.savefig(FOLDER / ("quotes.png" if which == "judged" else f"quotes-{which}.png"), dpi=90)
    plt.close(figure)


def _panel(axes: Axes, costs: Sequence[int], one: Verdict) -> None:
    real = lasting(costs)
    first, last = one.told.frames[0].first, one.told.frames[-1].last
    numbers = range(first, last + 1)
    curve = [one.told.curve.wu(frame) / 1e6 for frame in numbers]
    axes.plot(numbers, [real[frame - 1] / 1e6 for frame in numbers], color="#888", linewidth=0.8, label="measured")
    axes.plot(numbers, curve, color="#0a6", label="quoted")
    low, high = 1 - one.half_width, 1 + one.half_width
    axes.fill_between(numbers, [each * low for each in curve], [each * high for each in curve], color="#0a6", alpha=0.2)
    axes.plot(
        [knot.frame for knot in one.told.curve.knots], [knot.micro_wu / 1e6 for knot in one.told.curve.knots], "o", color="#063"
    )
    axes.set_title(f"{one.film}: {one.error * 100:+.1f} %, band ±{one.half_width * 100:.0f} %", fontsize=10)
    axes.set_ylim(bottom=0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
