"""From a few real frames to a curve of work over the timeline, with a band.

Theory. Evenly spaced frames with both ends are rendered at full quality, the middle one (the anchor) on a house agent. A frame
over its time budget is probed at half size, a quarter of the pixels. Work is what the attempt's CPU time says, held against the
budget and the anchor. The curve is straight lines between knots. Its band is the error that leaving out each inner knot in turn
would have made (leave-one-out cross-validation, M. Stone 1974, J. R. Stat. Soc. B 36), weighted by work, never below a floor.
"""

from collections.abc import Sequence
from dataclasses import replace

from contracts.events import Event, JobEstimated
from contracts.values import MICRO, Band, Benchmark, Curve, Kind, Knot, Ranges, count, frames, ranges
from contracts.work import work
from services.scheduler.domain import job as jobs
from services.scheduler.domain.cutting import chunk_id
from services.scheduler.domain.job import Cut, Decided, Job, Measured, Sample
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.preview import ordered
from services.scheduler.domain.spans import normalised, nth, without
from services.scheduler.domain.states import JobState

REFERENCE_SPEED = 60 * MICRO
"""Micro-WU a minute: told when nobody is there to go by."""
UNKNOWN_BAND_PERCENT = 25
"""With fewer than three knots nothing can be left out."""
WIDEST_BAND_PERCENT = 90


def begun(job: Job, policy: Policy) -> Decided:
    """The plan: which frames, and the chunks that are to exist for them."""
    total = count(job.frames)
    chosen = even(job.frames, min(policy.samples, total))
    samples = tuple(Sample(frame, anchor=at == len(chosen) // 2) for at, frame in enumerate(chosen))
    cuts = tuple(
        Cut(chunk_id(job.job, Kind.SAMPLE, one.frame), Kind.SAMPLE, ranges([one.frame]), house=one.anchor) for one in samples
    )
    job = replace(job, samples=samples, cuts=(*job.cuts, *cuts))
    return jobs.advanced(job, JobState.ESTIMATING, f"rendering {len(samples)} of {total} frames to learn what the others cost")


def even(spans: Ranges, number: int) -> list[int]:
    """So many frames, evenly spaced, both ends among them."""
    last = count(spans) - 1
    if number == 1:
        return [nth(spans, 0)]
    return [nth(spans, at * last // (number - 1)) for at in range(number)]


def recognised(cpu_micros: int, benchmark: Benchmark, cores: float, budget_seconds: int) -> int:
    """Micro-WU of an attempt, at least 1, at most what its time budget could hold on its cores."""
    bound = int(budget_seconds * max(cores, 1.0) * MICRO)
    return max(1, work(min(cpu_micros, bound), benchmark))


def sampled(job: Job, frame: int, attempt: str, agent: str, micro_wu: int, fleet: int, policy: Policy) -> Decided:
    """The sampled frame is stored; it is final. `fleet`: micro-WU a minute of all agents that could render this job."""
    anchor = any(one.frame == frame and one.anchor for one in job.samples)
    known, events = _measured(job, Measured(attempt, agent, Kind.SAMPLE, micro_wu, ranges([frame]), anchor), policy)
    if known is job or job.version:
        return known, events
    return _concluded(_with(known, frame, micro_wu=micro_wu, kept=True), fleet, policy, events)


def over_budget(job: Job, frame: int, attempt: str, agent: str, micro_wu: int, policy: Policy) -> Decided:
    """The frame takes too long: it is probed at a fraction of its size, and rendered later with the others."""
    sample = next((one for one in job.samples if one.frame == frame), None)
    known, events = _measured(job, Measured(attempt, agent, Kind.SAMPLE, micro_wu), policy)
    if sample is None or sample.probing or sample.micro_wu is not None or job.version or jobs.is_over(job):
        return known, events
    cut = Cut(chunk_id(job.job, Kind.PROBE, frame), Kind.PROBE, ranges([frame]), house=sample.anchor)
    return replace(_with(known, frame, probing=True), cuts=(*known.cuts, cut)), events


def probed(job: Job, frame: int, attempt: str, agent: str, micro_wu: int, fleet: int, policy: Policy) -> Decided:
    """Work of the probe itself; at half size a quarter of the frame's."""
    anchor = any(one.frame == frame and one.anchor for one in job.samples)
    known, events = _measured(job, Measured(attempt, agent, Kind.PROBE, micro_wu, anchor=anchor), policy)
    sample = next((one for one in known.samples if one.frame == frame), None)
    if sample is None or sample.micro_wu is not None or job.version:
        return known, events
    whole = micro_wu * 100 * 100 // (policy.probe_percent * policy.probe_percent)
    return _concluded(_with(known, frame, micro_wu=whole), fleet, policy, events)


def band(expected: int, percent: int) -> Band:
    return Band(low=expected * (100 - percent) // 100, expected=expected, high=expected * (100 + percent) // 100)


def spread_percent(knots: Sequence[Knot], floor: int) -> int:
    """Half-width of the band in percent of the expected work."""
    if len(knots) < 3:
        return max(floor, UNKNOWN_BAND_PERCENT)
    inner = range(1, len(knots) - 1)
    error = sum(abs(Curve(knots=(knots[at - 1], knots[at + 1])).wu(knots[at].frame) - knots[at].micro_wu) for at in inner)
    total = sum(knots[at].micro_wu for at in inner)
    return min(WIDEST_BAND_PERCENT, max(floor, error * 100 // max(1, total)))


def _measured(job: Job, one: Measured, policy: Policy) -> Decided:
    """Each attempt once; one that was over its budget may still bring its frame, for the work already recognised. What is
    measured after sampling has ended is told at once, since nothing else will tell it."""
    known = next((before for before in job.measured if before.attempt == one.attempt), None)
    if known is not None and (known.frames or not one.frames):
        return job, []
    others = tuple(before for before in job.measured if before is not known)
    job = replace(job, measured=(*others, one if known is None else replace(one, micro_wu=known.micro_wu)))
    late = job.version > 0 or jobs.is_over(job)
    return job, [jobs.sampling_measured(job, policy.anchor_factor)] if late else []


def _with(job: Job, frame: int, **changes: object) -> Job:
    changed = tuple(replace(one, **changes) if one.frame == frame else one for one in job.samples)  # type: ignore[arg-type]
    return replace(job, samples=changed)


def _concluded(job: Job, fleet: int, policy: Policy, events: list[Event]) -> Decided:
    """When every sample has its cost: the estimate, once."""
    if jobs.is_over(job) or any(one.micro_wu is None for one in job.samples):
        return job, events
    knots = _knots(job, policy)
    curve = Curve(knots=knots)
    rest = without(job.frames, [one.frame for one in job.samples if one.kept])
    expected = sum(curve.wu(frame) for frame in frames(rest))
    percent = spread_percent(knots, policy.band_floor_percent)
    seconds = expected * 60 // (fleet or REFERENCE_SPEED)
    job = replace(
        job,
        version=1,
        curve=curve,
        micro_wu=band(expected, percent),
        seconds=band(seconds, percent),
        most_micro_wu=max(knot.micro_wu for knot in knots),
        uncut=ordered(rest, job.asked.order) if job.asked else rest,
        to_render=count(rest),
    )
    return job, [*events, jobs.sampling_measured(job, policy.anchor_factor), _estimate(job)]


def _estimate(job: Job) -> JobEstimated:
    assert job.curve is not None
    assert job.micro_wu is not None
    assert job.seconds is not None
    return JobEstimated(
        job=job.job, account=job.account, version=job.version, curve=job.curve, frames=normalised(job.uncut),
        micro_wu=job.micro_wu, seconds=job.seconds,
    )  # fmt: skip


def _knots(job: Job, policy: Policy) -> tuple[Knot, ...]:
    """No stranger's frame costs more than so many times the anchor's."""
    anchor = jobs.anchor_micro_wu(job)
    bound = policy.anchor_factor * anchor if anchor else None
    costs = [(one.frame, one.micro_wu or 1) for one in job.samples]
    return tuple(Knot(frame=frame, micro_wu=cost if bound is None else min(cost, bound)) for frame, cost in sorted(costs))
