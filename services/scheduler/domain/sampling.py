"""Sampling a job: the plan, what came of each sample, and the estimate.

Theory. Real frames are rendered at full quality, the middle one (the anchor) on a house agent; which ones, says domain.picking. A
frame over its time budget is probed at half size, a quarter of the pixels. Work is what the attempt's CPU time says, held against
the budget and the anchor; what the first frame of a process costs beyond later ones is not the frame's. When every sample of a
round is known, another may follow (domain.rounds); then domain.estimate makes the curve.
"""

import math
from dataclasses import replace

from contracts.events import Event, JobEstimated
from contracts.values import MICRO, Band, Benchmark, Kind, count, frames, ranges
from contracts.work import work
from services.scheduler.domain import curves, estimate, picking, rounds, shots
from services.scheduler.domain import job as jobs
from services.scheduler.domain.cutting import chunk_id
from services.scheduler.domain.estimate import Seen
from services.scheduler.domain.job import Cut, Decided, Job, Sample
from services.scheduler.domain.measured import Measured
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.preview import ordered
from services.scheduler.domain.shots import Look
from services.scheduler.domain.spans import less, normalised, without
from services.scheduler.domain.states import JobState

REFERENCE_SPEED = 60 * MICRO
"""Micro-WU a minute: told when nobody is there to go by."""
MOST_CORES = 256
"""Of one attempt that are believed."""


def begun(job: Job, policy: Policy) -> Decided:
    """The plan: which frames, and the chunks that are to exist for them."""
    total = count(job.frames)
    alike = _alike(job, policy)
    chosen = picking.first(job.frames, alike, policy)
    anchor = picking.anchor(chosen, alike)
    samples = tuple(Sample(frame, anchor=frame == anchor) for frame in chosen)
    job = _planned(job, samples)
    return jobs.advanced(job, JobState.ESTIMATING, f"rendering {len(samples)} of {total} frames to learn what the others cost")


def _alike(job: Job, policy: Policy) -> tuple[Look, ...]:
    return picking.parted(job.frames, job.facts.shots if job.facts else (), policy)


def _planned(job: Job, samples: tuple[Sample, ...]) -> Job:
    """These too are to be rendered."""
    cuts = tuple(
        Cut(chunk_id(job.job, Kind.SAMPLE, one.frame), Kind.SAMPLE, ranges([one.frame]), house=one.anchor or one.witness)
        for one in samples
    )
    return replace(job, samples=tuple(sorted((*job.samples, *samples), key=lambda one: one.frame)), cuts=(*job.cuts, *cuts))


def recognised(cpu_micros: int, benchmark: Benchmark, cores: float, seconds: float) -> int:
    """Micro-WU of an attempt, at least 1, at most what the time it can have worked could hold on its cores."""
    bound = int(seconds * min(math.ceil(cores), MOST_CORES) * MICRO)
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
    whole = _lasting(micro_wu, policy) * 100 * 100 // (policy.probe_percent * policy.probe_percent) + policy.first_frame
    return _concluded(_with(known, frame, micro_wu=whole), fleet, policy, events)


def band(expected: int, percent: int) -> Band:
    return Band(low=expected * (100 - percent) // 100, expected=expected, high=expected * (100 + percent) // 100)


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
    """When every sample has its cost: another round, or the estimate, once."""
    if jobs.is_over(job) or any(one.micro_wu is None for one in job.samples):
        return job, events
    seen, alike = _seen(job, policy), _alike(job, policy)
    knots = estimate.knots(seen, policy.anchor_factor * max((one.micro_wu for one in seen if one.house), default=0) or None)
    further = rounds.further(job, seen, knots, alike, policy)
    if further:
        return replace(_planned(job, further), is_second_round=True), events
    curve = shots.curve(knots, alike)
    rest = less(without(job.frames, [one.frame for one in job.samples if one.kept]), job.wishes.left_out)
    expected = curves.total(curve, rest)
    percent = estimate.spread_percent(shots.parted(knots, alike), policy)
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
        micro_wu=job.micro_wu, seconds=job.seconds, price_per_wu_micro=jobs.bid(job) or None,
    )  # fmt: skip


def _seen(job: Job, policy: Policy) -> list[Seen]:
    """By machine, without what the start of a process costs. A probed frame stands for itself."""
    machines = {frame: one.agent for one in job.measured for frame in frames(one.frames)}
    alike = _alike(job, policy)
    return [
        Seen(
            one.frame, machines.get(one.frame, f"? {one.frame}"), _lasting(one.micro_wu or 1, policy), one.anchor or one.witness,
            shots.of(alike, one.frame),
        )
        for one in job.samples
    ]  # fmt: skip


def _lasting(micro_wu: int, policy: Policy) -> int:
    """Never less than a quarter of what was measured."""
    return max(micro_wu - policy.first_frame, micro_wu // 4, 1)
