"""Which frames are rendered to make a quote.

Theory. A job of some hundred frames is an integral to be found from few points. *Spread*: one frame in the middle of each of as
many equal stretches (the midpoint rule: of the rules that were tried on films with ramps, cuts, waves and bursts it erred least;
points set where the curve looked steep over-weigh the dear stretches they find). Small jobs are sampled with both ends instead:
there the samples are what the renter sees before he pays.
*In rounds*: first every second one of them, or all but one where they are few; the others only where the curve is left uncertain,
and as far as the job can bear them (domain.rounds), from the widest doubt to the smallest.
*Neighbours*: a frame that costs far more than those beside it is either harder, or its machine is slower than it says. The house
agent renders the frame next to it, which is as hard: what the two differ by is the machine's.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from contracts.events import Shot
from contracts.values import Ranges, count
from services.scheduler.domain import shots
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.shots import Look, looks, middles, shares
from services.scheduler.domain.spans import holds, nth

PPM = 1_000_000


def wanted(total: int, policy: Policy) -> int:
    """How many frames are sampled in all rounds together, witnesses aside."""
    if total < policy.large_job:
        return min(policy.samples, total)
    return max(policy.samples, min(policy.most_samples, total * policy.sample_ppm // PPM))


def parted(spans: Ranges, shots: Sequence[Shot], policy: Policy) -> tuple[Look, ...]:
    """The job's frames by what they look like."""
    return looks(spans, shots, wanted(count(spans), policy))


def first(spans: Ranges, alike: Sequence[Look], policy: Policy) -> list[int]:
    """Of the first round, sorted."""
    number = wanted(count(spans), policy)
    if count(spans) < policy.large_job:
        return even(spans, number)
    chosen = _spread(alike, number)
    if number > policy.least_samples:
        return sorted(frame for of_look in chosen for frame in of_look[::2])
    spared = chosen[0][1:2] if len(chosen[0]) > 2 else []
    return sorted(frame for of_look in chosen for frame in of_look if frame not in spared)


def anchor(chosen: Sequence[int], alike: Sequence[Look]) -> int:
    """The house's: one that nothing alike stands beside, so that no lender alone says what its look costs; or the middle."""
    looks = [shots.of(alike, frame) for frame in chosen]
    alone = [frame for frame, look in zip(chosen, looks, strict=True) if looks.count(look) == 1]
    return alone[0] if alone and len(alike) > 1 else chosen[len(chosen) // 2]


def _spread(alike: Sequence[Look], number: int) -> list[list[int]]:
    """The middles of each look, as many as is its share."""
    return [middles(look.spans, given) for look, given in zip(alike, shares(alike, number), strict=True)]


def even(spans: Ranges, number: int) -> list[int]:
    """So many frames, evenly spaced, both ends among them."""
    last = count(spans) - 1
    if number == 1:
        return [nth(spans, 0)]
    return [nth(spans, at * last // (number - 1)) for at in range(number)]


def between(spans: Ranges, alike: Sequence[Look], costs: Mapping[int, int], policy: Policy) -> list[int]:
    """The ones left out so far, the widest doubt first. `costs`: those known."""
    left = []
    for at, chosen in enumerate(_spread(alike, wanted(count(spans), policy))):
        known = sorted((frame, cost) for frame, cost in costs.items() if shots.of(alike, frame) == at)
        left += [(-_doubt(known, one), one) for one in chosen if one not in costs]
    return [frame for _, frame in sorted(left)]


def _doubt(known: Sequence[tuple[int, int]], frame: int) -> int:
    """How much the known costs on both sides of it differ, over how long."""
    for (before, low), (after, high) in pairwise(known):
        if before < frame < after:
            return abs(high - low) * (after - before)
    return 0


def neighbour(spans: Ranges, frame: int, taken: Sequence[int]) -> int | None:
    """The frame beside this one, for another machine to render."""
    return next((one for one in (frame + 1, frame - 1, frame + 2) if holds(spans, one) and one not in taken), None)
