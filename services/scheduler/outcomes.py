"""The operator's report: how good the last quotes were.

    python -m services.scheduler.outcomes [--most 50] [--plots FOLDER]

Runs with the scheduler's own environment; where the whole farm runs `python -m infra.local quotes` does. A quote's error is the
quoted work against what its frames were measured to cost, of those that were rendered: all of them, or a part where the quote was
superseded or the job ended before. With --plots each one is drawn: curve, band, and what was measured.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from contracts.topology import SCHEDULER
from services.chassis.service import grounded
from services.chassis.settings import told
from services.scheduler.app import Settings, stores
from services.scheduler.domain.quotes import BINS, Quote, error_ppm, is_in_band, measured

WIDTH, HEIGHT, MARGIN = 720, 240, 24
PPM = 1_000_000
INSTEAD = "It runs with the scheduler's environment. In the farm's checkout: `python -m infra.local quotes [--plots FOLDER]`."
HEADINGS = ("job", "version", "frames", "measured", "work WU", "error", "band", "inside", "sampling")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.scheduler.outcomes", description="How good quotes were.")
    parser.add_argument("--most", type=int, default=50, help="so many, the newest first")
    parser.add_argument("--plots", type=Path, help="folder for a picture of each")
    arguments = parser.parse_args(sys.argv[1:])
    found = asyncio.run(_newest(told(Settings, INSTEAD), arguments.most))
    sys.stdout.write(table(found) + "\n")
    if arguments.plots is not None:
        arguments.plots.mkdir(parents=True, exist_ok=True)
        for one in found:
            (arguments.plots / f"{one.job}-{one.version}.svg").write_text(plot(one))


async def _newest(settings: Settings, most: int) -> list[Quote]:
    async with grounded(SCHEDULER, settings) as ground:
        return await stores(ground, settings).quotes.newest(most)


def table(quotes: list[Quote]) -> str:
    """One line each, and what they say together: the complete ones, and those of which only a part was rendered."""
    lines = [HEADINGS, *(_line(one) for one in quotes)]
    wide = [max(len(line[at]) for line in lines) for at in range(len(HEADINGS))]
    text = "\n".join("  ".join(cell.ljust(wide[at]) for at, cell in enumerate(line)).rstrip() for line in lines)
    complete, partial = [one for one in quotes if one.is_complete], [one for one in quotes if one.is_told and not one.is_complete]
    rest = f"\n{_together(partial, 'partial')}" if partial else ""
    return f"{text}\n\n{_together(complete, 'complete')}{rest}"


def _line(one: Quote) -> tuple[str, ...]:
    error = error_ppm(one)
    seen = sum(each.frames for each in one.timeline)
    half = (one.micro_wu.high - one.micro_wu.low) * 50 // max(1, one.micro_wu.expected)
    share = 100 * one.sampled_micro_wu / max(1, one.sampled_micro_wu + one.micro_wu.expected)
    inside = ("yes" if is_in_band(one) else "no") if one.is_complete or one.is_told else "-"
    return (
        one.job, str(one.version), str(one.frames), str(seen), f"{one.micro_wu.expected / PPM:.1f}",
        "-" if error is None else f"{error * 100 / PPM:+.1f} %", f"±{half} %", inside, f"{share:.1f} %",
    )  # fmt: skip


def _together(these: list[Quote], which: str) -> str:
    errors = sorted(abs(error_ppm(one) or 0) * 100 / PPM for one in these)
    if not errors:
        return "No quote has all its frames measured yet."
    inside = sum(is_in_band(one) for one in these)
    middle, ninth = errors[len(errors) // 2], errors[min(len(errors) - 1, len(errors) * 9 // 10)]
    return f"{len(errors)} {which}: median error {middle:.1f} %, nine of ten below {ninth:.1f} %, {inside} inside their band."


def plot(one: Quote) -> str:
    """SVG: the curve with its band, and a dot for what each hundredth of the timeline was measured to cost per frame."""
    long = max(1, one.last - one.first)
    costs = [each.measured / each.frames if each.frames else None for each in one.timeline]
    curve = [(at / BINS, one.curve.wu(one.first + at * long // BINS)) for at in range(BINS + 1)]
    top = max([1.0, *(cost for cost in costs if cost is not None), *(work * 1.2 for _, work in curve)])
    low, high = (each / max(1, one.micro_wu.expected) for each in (one.micro_wu.low, one.micro_wu.high))
    band = [*[_at(x, work * high, top) for x, work in curve], *[_at(x, work * low, top) for x, work in reversed(curve)]]
    dots = "".join(_dot((at + 0.5) / BINS, cost, top) for at, cost in enumerate(costs) if cost is not None)
    title = f"{one.job} version {one.version}: {measured(one) / PPM:.0f} WU measured, {one.micro_wu.expected / PPM:.0f} quoted"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/><text x="{MARGIN}" y="16">{title}</text>'
        f'<polygon points="{" ".join(band)}" fill="#0a62" stroke="none"/>'
        f'<polyline points="{" ".join(_at(x, work, top) for x, work in curve)}" fill="none" stroke="#063"/>{dots}</svg>\n'
    )


def _at(x: float, work: float, top: float) -> str:
    across, up = MARGIN + x * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - min(1.0, work / top) * (HEIGHT - 2 * MARGIN)
    return f"{across:.1f},{up:.1f}"


def _dot(x: float, work: float, top: float) -> str:
    across, up = _at(x, work, top).split(",")
    return f'<circle cx="{across}" cy="{up}" r="2.5" fill="#555"/>'


if __name__ == "__main__":
    main()
