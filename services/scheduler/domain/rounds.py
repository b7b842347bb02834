"""What is sampled after the first round, and when it is enough.

Theory. Sampling may cost a share of the job, and what the job costs is what sampling is to find out. So every further frame is
held against the estimate so far: what the known samples cost, as the curve says, and what the next is expected to cost may
together be no more than that share. Only the witness comes whatever it costs, the house's frame beside a lender's that stands
out: without it one lie of four times the work in six frames raises the price by half. When the two disagree there may be a cut
between them; then the house looks at the other side too, if the job can bear it. Otherwise come the frames that the first round
left out, where the doubt is largest. Of a job with few samples each counts much, and a witness would be dear: there the house
renders what was left out, so that nobody need be doubted for it.
"""

from collections.abc import Sequence

from contracts.values import Curve, Knot, count
from services.scheduler.domain import curves, estimate, picking, shots
from services.scheduler.domain.estimate import Seen
from services.scheduler.domain.job import Job, Sample
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.shots import Look


def further(job: Job, seen: Sequence[Seen], knots: Sequence[Knot], alike: Sequence[Look], policy: Policy) -> tuple[Sample, ...]:
    """The frames of the next round; none when what is known is to do. `knots`: the curve so far."""
    if count(job.frames) < policy.large_job:
        return ()
    curve = shots.curve(knots, alike)
    spare = curves.total(curve, job.frames) * policy.sampling_ppm // curves.PPM - sum(curve.wu(one.frame) for one in seen)
    return _opinion(job, seen, curve, alike, spare, policy) or _left_out(job, seen, curve, alike, spare, policy)


def _opinion(
    job: Job, seen: Sequence[Seen], curve: Curve, alike: Sequence[Look], spare: int, policy: Policy
) -> tuple[Sample, ...]:
    """Beside one lender's frame that stands out, and beside him whom the one witness contradicts."""
    odd = estimate.contradicted(seen)
    if odd is not None and curve.wu(odd.frame) > spare:
        return ()
    if odd is None and not any(estimate.witnesses(seen, one) for one in seen if not one.house):
        odd = estimate.suspect(seen, policy)
    if odd is None:
        return ()
    spans = alike[odd.look].spans if odd.look >= 0 else job.frames
    beside = picking.neighbour(spans, odd.frame, [one.frame for one in seen])
    return () if beside is None else (Sample(beside, anchor=False, witness=True),)


def _left_out(
    job: Job, seen: Sequence[Seen], curve: Curve, alike: Sequence[Look], spare: int, policy: Policy
) -> tuple[Sample, ...]:
    """What the job and its deposit can bear of what is still uncertain."""
    spread = estimate.spread_percent(shots.parted(estimate.knots(seen), alike), policy)
    if spread <= policy.band_floor_percent and len(seen) >= policy.least_samples:
        return ()
    mean = sum(one.micro_wu for one in seen) // len(seen)
    paid = max(0, job.sampling_limit - sum(one.micro_wu for one in job.measured)) // (2 * mean + policy.first_frame)
    chosen = picking.between(job.frames, alike, {one.frame: one.micro_wu for one in seen}, policy)
    is_few = picking.wanted(count(job.frames), policy) <= policy.least_samples
    found = list[Sample]()
    for frame in chosen[:paid]:
        spare -= curve.wu(frame)
        if spare >= 0:
            found.append(Sample(frame, anchor=False, witness=is_few))
    return tuple(found)
