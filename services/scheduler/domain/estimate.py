"""From what a few frames cost on several machines to a curve over the timeline, with a band.

Theory. A machine's CPU seconds become work by its own benchmark, which errs for each scene by some percent, or lies. So what a
frame was measured to cost is the frame's hardness times its machine's error. The house agent's error is taken to be none. A
lender's is what the *witness* shows, a house frame right beside one of his: within a third either way it is left in (those errors
average out over lenders), beyond that it is divided out of all his frames, unless a second witness, on the other side, agrees
with him.
The curve is straight lines between knots. Its band comes from leaving each inner knot out in turn and looking how far the line
between its neighbours misses it (the residuals of the jackknife: R. F. Barber, E. J. Candès, A. Ramdas, R. J. Tibshirani 2021,
Ann. Statist. 49), over the root of how many knots there are, times a factor that makes nine of ten films fall into it. The factor
is calibrated on films that are not among the judged ones (split conformal prediction with a scale: J. Lei, M. G'Sell, A. Rinaldo,
R. Tibshirani, L. Wasserman 2018, J. Am. Stat. Assoc. 113); docs/decisions/0032 has the figures. Two knots alone are held
against each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

from contracts.values import Curve, Knot
from services.scheduler.domain.policy import Policy

UNKNOWN_BAND_PERCENT = 25
"""Where each look has one knot alone: it can be held against no other."""
WIDEST_BAND_PERCENT = 90
BESIDE = 2
"""Frames so near are as hard as each other."""
TOLERATED_PERCENT = 133
"""A lender's error up to this, either way, is left in."""
MOST_ERROR = 64


@dataclass(frozen=True)
class Seen:
    """A sampled frame's measured work, and by whom; `house`: on the machine that counts as exact."""

    frame: int
    machine: str
    micro_wu: int
    house: bool = False
    look: int = 0


def knots(seen: Sequence[Seen], bound: int | None = None) -> tuple[Knot, ...]:
    """Sorted; no stranger's frame costs more than the bound."""
    errors = _errors(seen)
    found = {one.frame: _corrected(one, errors, bound) for one in seen}
    return tuple(Knot(frame=frame, micro_wu=cost) for frame, cost in sorted(found.items()))


def _corrected(one: Seen, errors: Mapping[str, tuple[int, int]], bound: int | None) -> int:
    his, houses = errors.get(one.machine, (1, 1))
    cost = one.micro_wu if one.house else one.micro_wu * houses // his
    return max(1, cost if one.house or bound is None else min(cost, bound))


def _errors(seen: Sequence[Seen]) -> dict[str, tuple[int, int]]:
    """Machine → what it and the house measured of frames beside each other, where they differ by more than is tolerated. Of two
    witnesses that one counts who speaks for the machine: there may be a cut before the other."""
    found: dict[str, tuple[int, int]] = {}
    for one in seen:
        if not one.house and (beside := witnesses(seen, one)):
            his, houses = found.get(one.machine, (0, 0))
            nearest = min(beside, key=lambda other: abs(other.micro_wu - one.micro_wu))
            found[one.machine] = his + one.micro_wu, houses + nearest.micro_wu
    return {
        machine: (min(his, MOST_ERROR * houses), houses)
        for machine, (his, houses) in found.items()
        if his * 100 > houses * TOLERATED_PERCENT or houses * 100 > his * TOLERATED_PERCENT
    }


def witnesses(seen: Sequence[Seen], one: Seen) -> list[Seen]:
    """House frames beside this one."""
    return [other for other in seen if other.house and other.look == one.look and 0 < abs(one.frame - other.frame) <= BESIDE]


def contradicted(seen: Sequence[Seen]) -> Seen | None:
    """A lender's frame with one witness, who says something else."""
    errors = _errors(seen)
    return next((one for one in seen if not one.house and one.machine in errors and len(witnesses(seen, one)) == 1), None)


def suspect(seen: Sequence[Seen], policy: Policy) -> Seen | None:
    """The lender's frame that stands out most from the frames on both sides of it and has no witness yet."""
    ordered = sorted(seen, key=lambda one: one.frame)
    witnessed = {one.machine for one in seen if witnesses(seen, one)}
    doubtful = [
        (one.micro_wu * 100 // max(1, _expected(ordered, at)), -one.frame, one)
        for at, one in enumerate(ordered)
        if not one.house and one.machine not in witnessed and len(ordered) > 1
    ]
    worst = max(doubtful, default=None)
    return worst[2] if worst is not None and worst[0] >= policy.suspect_percent else None


def _expected(ordered: Sequence[Seen], at: int) -> int:
    """What those beside it let expect: of the same look, if there are such."""
    alike = [one for one in ordered if one.look == ordered[at].look]
    among = alike if len(alike) > 1 else ordered
    here = among.index(ordered[at])
    beside = [one.micro_wu for one in (*among[:here][-1:], *among[here + 1 :][:1])]
    return sum(beside) // len(beside)


def spread_percent(looks: Sequence[Sequence[Knot]], policy: Policy) -> int:
    """Half-width of the band in percent of the expected work. `looks`: the knots of each."""
    left_out = [one for knots in looks for one in _residuals(knots)]
    if not left_out:
        return max(policy.band_floor_percent, UNKNOWN_BAND_PERCENT)
    error, total, number = sum(far for far, _ in left_out), sum(cost for _, cost in left_out), sum(map(len, looks))
    width = error * policy.band_factor_percent // max(1, total * isqrt(100 * number) // 10)
    return min(WIDEST_BAND_PERCENT, max(policy.band_floor_percent, width))


def _residuals(knots: Sequence[Knot]) -> list[tuple[int, int]]:
    """Of each inner knot: how far the line between its neighbours misses it, and what it costs. Of two alone, each is held
    against the other."""
    if len(knots) == 2:
        return [(abs(knots[0].micro_wu - knots[1].micro_wu), one.micro_wu) for one in knots]
    return [
        (abs(Curve(knots=(before, after)).wu(one.frame) - one.micro_wu), one.micro_wu)
        for before, one, after in zip(knots, knots[1:], knots[2:], strict=False)
    ]
