"""What a world's run is judged by."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.values import Feasibility, frames
from services.scheduler.domain.states import JobState
from tests.sim.setting import Nature
from tests.sim.world import World


@dataclass(frozen=True)
class Outcome:
    """Of one run. Fractions, and seconds of virtual time."""

    makespan: float
    """From the first acceptance to the last job's end."""
    bound: float
    """What no policy beats: the work that was left at acceptance, at the speed of everybody who is still there."""
    duplicate: float
    """Work done twice, finished or not, as a share of all work."""
    aim: float | None
    """Share of chunks that took the wanted time within a quarter: from each machine's fourth on, while there was plenty."""

    @property
    def ratio(self) -> float:
        return self.makespan / self.bound


def outcome(world: World) -> Outcome:
    began, ended = min(world.accepted.values()), max(world.ended.values())
    sampled = {(job, frame) for job, frame in _sampled(world)}
    todo = sum(sum(costs) for costs in world.costs.values()) - sum(world.work(*one) for one in sampled)
    lenders = [machine.nature for machine in world.machines.values() if machine.agent != "house"]
    twice = world.copies + sum(machine.broken_off for machine in world.machines.values())
    return Outcome(ended - began, lower_bound(todo / 1e6, lenders, began), twice / (todo / 1e6), aim(world))


def lower_bound(work: float, lenders: Sequence[Nature], began: float) -> float:
    """Seconds after `began` in which these machines can do so much work, each until it leaves. Raises ValueError if never."""
    speed = sum(one.rate for one in lenders if one.leaves_at > began)
    at = began
    for one in sorted(lenders, key=lambda one: one.leaves_at):
        if one.leaves_at <= began:
            continue
        if work <= speed * (one.leaves_at - at):
            return at + work / speed - began
        work -= speed * (one.leaves_at - at)
        speed, at = speed - one.rate, one.leaves_at
    raise ValueError("nobody is left to do the work")


def aim(world: World) -> float | None:
    """Of the chunks that were as long as they should be by plan: those that ended in the first four fifths of the time."""
    wanted, spans = world.office.desk.policy.chunk, _spans(world)
    good = [abs(seconds - wanted) <= wanted / 4 for seconds in spans]
    return sum(good) / len(good) if good else None


def _spans(world: World) -> list[float]:
    plenty = 0.8 * max(world.ended.values())
    return [seconds for machine in world.machines.values() for at, seconds in machine.spans[3:] if at < plenty]


def jain(shares: Sequence[float]) -> float:
    """1 when all are equal, 1/n for one taker (R. Jain, D. Chiu, W. Hawe, *A Quantitative Measure of Fairness*, TR-301, 1984)."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def fairness(world: World, jobs: Sequence[str]) -> float:
    """Between these jobs, when the first of them ended."""
    first = min(jobs, key=lambda job: world.ended[job])
    return jain([world.done_at_end[first].get(job, 0) for job in jobs])


def least_share(world: World, jobs: Sequence[str]) -> float:
    """What the worst off of these jobs had when the first of them ended, as a part of an equal share."""
    first = min((job for job in jobs if job in world.ended), key=lambda job: world.ended[job])
    had = [world.done_at_end[first].get(job, 0) for job in jobs]
    return min(had) * len(had) / sum(had)


def deadlines(world: World) -> tuple[int, int]:
    """How many were kept, of how many."""
    due = [(order, order.at + order.deadline) for order in world.orders.values() if order.deadline is not None]
    return sum(world.ended.get(order.job, 1e18) <= at and order.job not in world.failed for order, at in due), len(due)


def said(world: World, feasibility: Feasibility) -> tuple[int, int]:
    """Of the deadlines of which this was said when the price was made: how many were kept, of how many."""
    due = [order for order in world.orders.values() if world.outlooks.get(order.job) is feasibility]
    return sum(world.ended.get(order.job, 1e18) <= order.at + (order.deadline or 0.0) for order in due), len(due)


def verify(world: World) -> None:
    """Every frame of every job that was not given up is stored, from one attempt, and the scheduler knows from which."""
    counted: dict[str, list[int]] = defaultdict(list)
    for chunk in world.office.chunks.all():
        for span in (*(one.frames for one in chunk.deliveries), chunk.elsewhere):
            counted[chunk.job] += [] if chunk.copy_of else frames(span)
    for job in world.office.jobs.all():
        assert job.state is JobState.PACKAGING or job.job in world.failed, f"{job.job} is {job.state}"
        if job.state is JobState.PACKAGING:
            every = list(range(1, world.orders[job.job].frames + 1))
            assert sorted(world.stored[job.job]) == every, "a frame is not in the store"
            assert sorted(counted[job.job]) == every, "the scheduler counts other frames than the store has"


def _sampled(world: World) -> list[tuple[str, int]]:
    return [(job.job, sample.frame) for job in world.office.jobs.all() for sample in job.samples if sample.kept]
