"""Which frames are rendered to make a quote.

Theory. A job of some hundred frames is an integral to be found from few points. *Spread*: one frame in the middle of each of as
many equal stretches (the midpoint rule: of the rules that were tried on films with ramps, cuts, waves and bursts it erred least;
points set where the curve looked steep over-weigh the dear stretches they find). Small jobs are sampled with both ends instead:
there the samples are what the renter sees before he pays.
*In two rounds*: first every second one of them; the others only where the first left the curve uncertain, and as many as fit into
the share of the job that sampling may cost, from the widest doubt to the smallest.
*Neighbours*: a frame that costs far more than those beside it is either harder, or its machine is slower than it says. The house
agent renders the frame next to it, which is as hard: what the two differ by is the machine's.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from contracts.values import Ranges, count
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.spans import holds, nth

PPM = 1_000_000


def wanted(total: int, policy: Policy) -> int:
    """How many frames are sampled in both rounds together."""
    if total < policy.large_job:
        return min(policy.samples, total)
    return max(policy.samples, min(policy.most_samples, total * policy.sample_ppm // PPM))


def first(spans: Ranges, policy: Policy) -> list[int]:
    """Of the first round, sorted."""
    number = wanted(count(spans), policy)
    if count(spans) < policy.large_job:
        return even(spans, number)
    return middles(spans, number)[:: 2 if number > policy.least_samples else 1]


def even(spans: Ranges, number: int) -> list[int]:
    """So many frames, evenly spaced, both ends among them."""
    last = count(spans) - 1
    if number == 1:
        return [nth(spans, 0)]
    return [nth(spans, at * last // (number - 1)) for at in range(number)]


def middles(spans: Ranges, number: int) -> list[int]:
    """The middle frames of so many equal stretches."""
    total = count(spans)
    return [nth(spans, (2 * at + 1) * total // (2 * number)) for at in range(number)]


def between(spans: Ranges, costs: Mapping[int, int], policy: Policy) -> list[int]:
    """Of the second round: the ones left out so far, as many as the job can bear. `costs`: those known."""
    total, known = count(spans), sorted(costs.items())
    if total < policy.large_job or len(known) < 2:
        return []
    mean = sum(costs.values()) // len(costs)
    bearable = total * policy.sample_ppm // PPM * mean - sum(costs.values())
    left = [one for one in middles(spans, wanted(total, policy)) if one not in costs]
    doubts = sorted(left, key=lambda one: -_doubt(known, one))
    return sorted(doubts[: max(0, bearable // max(1, mean))])


def _doubt(known: Sequence[tuple[int, int]], frame: int) -> int:
    """How much the known costs on both sides of it differ, over how long."""
    for (before, low), (after, high) in pairwise(known):
        if before < frame < after:
            return abs(high - low) * (after - before)
    return 0


def neighbour(spans: Ranges, frame: int, taken: Sequence[int]) -> int | None:
    """The frame beside this one, for another machine to render."""
    return next((one for one in (frame + 1, frame - 1, frame + 2) if holds(spans, one) and one not in taken), None)
