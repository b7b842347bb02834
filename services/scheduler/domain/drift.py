"""When a job turns out dearer than quoted: the renter is asked about what is left, and nothing else changes.

Theory. Two things must hold. What has been measured beyond the quote is by itself more than the band leaves, even if all that is
left costs what was quoted: a cumulative sum that crosses its limit (E. S. Page 1954, Biometrika 41), not one bad stretch. And
what was measured lately is out of the band as well, for past excess is sunk (those frames were paid at the firm price) and only
what is left can be priced anew, at the lately measured ratio. Both ratios are medians over lenders of different owners.

Only upwards. Cheaper frames than quoted stop nobody: to hold up a job in order to ask whether its renter minds paying less would
be absurd, and to lower the price unasked would let a renter with two machines of his own underbid every other lender's quote.
"""

from dataclasses import replace

from contracts.events import JobEstimated
from contracts.values import Band
from services.scheduler.domain import curves
from services.scheduler.domain import job as jobs
from services.scheduler.domain import quotes as records
from services.scheduler.domain.curves import PPM
from services.scheduler.domain.job import Decided, Former, Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.quotes import Quote
from services.scheduler.domain.spans import count, normalised
from services.scheduler.domain.states import JobState


def drifted(job: Job, quote: Quote, policy: Policy) -> int | None:
    """Millionths of the quoted work that what is left is likely to take; None: the quote holds, or it is not for us to ask."""
    if job.state is not JobState.RENDERING or quote.version != job.version or job.version >= policy.drift_versions:
        return None
    if not is_suspect(quote, policy):
        return None
    left = curves.total(quote.curve, job.uncut)
    return _lately(quote, policy) if left * 100 >= quote.micro_wu.expected * policy.drift_left_percent else None


def is_suspect(quote: Quote, policy: Policy) -> bool:
    """By what was measured alone: it has left the band, and still leaves it."""
    band, whole = quote.micro_wu, records.ratio_ppm(quote.witnesses, policy.drift_owners, policy.drift_frames)
    if whole is None or records.quoted(quote) * (whole - PPM) // PPM <= band.high - band.expected:
        return False
    lately, worth_asking = _lately(quote, policy), PPM * (100 + policy.drift_least_percent) // 100
    return lately is not None and lately * band.expected > band.high * PPM and lately > worth_asking


def _lately(quote: Quote, policy: Policy) -> int | None:
    return records.ratio_ppm(quote.witnesses, policy.drift_owners, policy.drift_frames, late=True)


def requoted(job: Job, quote: Quote, policy: Policy, fleet: int) -> Decided:
    """The next version, for what is not cut yet. Frames under way are finished; nothing new is given out. `fleet`: micro-WU a
    minute of all agents that could render this job now; 0: nobody is there, and the time is as it was estimated."""
    ratio = drifted(job, quote, policy)
    if ratio is None or job.curve is None or job.micro_wu is None or job.seconds is None:
        return job, []
    curve = curves.scaled(job.curve, ratio)
    expected = curves.total(curve, job.uncut)
    band, seconds = job.micro_wu, job.seconds
    percent = (ratio - PPM) * 100 // PPM
    reason = f"the frames rendered lately took {percent} % more work than quoted: the price of those left is asked anew"
    after = replace(
        job,
        version=job.version + 1,
        curve=curve,
        former=(*job.former, Former(job.version, job.curve)),
        micro_wu=_of(band, expected),
        seconds=_of(seconds, expected * 60 // fleet if fleet else seconds.expected * expected // max(1, band.expected)),
        most_micro_wu=job.most_micro_wu * ratio // PPM,
        to_render=count(job.uncut),
    )
    after, told = jobs.advanced(after, JobState.REQUOTING, reason)
    assert after.micro_wu is not None
    assert after.seconds is not None
    asked = JobEstimated(
        job=job.job, account=job.account, version=after.version, curve=curve, frames=normalised(job.uncut),
        micro_wu=after.micro_wu, seconds=after.seconds, reason=reason, price_per_wu_micro=jobs.bid(job) or None,
    )  # fmt: skip
    return after, [*told, asked]


def _of(band: Band, expected: int) -> Band:
    """As wide as this one, about another middle."""
    middle = max(1, band.expected)
    return Band(low=expected * band.low // middle, expected=expected, high=expected * band.high // middle)
