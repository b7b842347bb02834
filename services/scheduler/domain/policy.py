"""The numbers of the plain policy in one place, with what they are for. Settings may change some of them per farm."""

from dataclasses import dataclass
from datetime import timedelta

GIB = 1 << 30
MIB = 1 << 20


@dataclass(frozen=True)
class Policy:
    """Durations in seconds, sizes in bytes, images by digest."""

    image: str = ""
    """The render image that the farm's work names; a machine with others and without it gets none, and its owner reads so."""
    lease: int = 30
    """An agent not heard of for so long has lost its leases: three pulses."""
    unclaimed: int = 10
    """A slot reserved for an attempt that never got a chunk is free again after this time."""
    pickup: int = 45
    """Mailbox time to live (30 s) plus 15 s: an attempt the agent has not spoken of by then never reached it."""
    vanished: int = 20
    """An attempt the agent had in hand and leaves out of its pulses for so long is gone."""
    closed: int = 60
    """After giving a chunk back an agent that says nothing of its slots gets work again only after this time."""
    settle: int = 15
    """After an agent says a chunk is completed, frames may be in verification for so long before they are given out again."""
    settle_silent: int = 180
    """The same while storage says nothing at all."""
    retry_same: int = 15
    """An agent may try a chunk it has failed on again after this time; others at once."""
    slack: int = 120
    """Start-up, download and upload, added to the hard end of an attempt and to the time for each frame to be stored."""
    slow_line: int = MIB
    """Bytes a second in which a bundle is fetched at the worst: the first frame of an attempt may be so much later."""
    grace: int = 900
    """How long a grant outlives its attempt's hard end."""

    chunk: int = 60
    """Aim of a chunk's duration; a container's start costs about 1.2 s."""
    chunk_frames: int = 200
    samples: int = 5
    """Of a job that is not large."""
    large_job: int = 200
    """From so many frames on, sampling is a share of the job."""
    sample_ppm: int = 25_000
    """That share, in millionths: with room below what sampling may cost, for samples that lie in dear stretches."""
    sampling_ppm: int = 30_000
    """Of a large job's work: what its samples may cost."""
    most_samples: int = 24
    least_samples: int = 8
    """With so few each counts much: one is left out of the first round, and the house renders it."""
    suspect_percent: int = 225
    """A lender's sample that costs so much of what those beside it do gets a witness."""
    first_frame: int = 145_000
    """Micro-WU that the first frame of a process costs beyond later ones."""
    sample_budget: int = 120
    sample_spread: int = 10
    """A sample waits so long for an agent that has none of this job yet."""
    house_stands_in: int = 60
    """The house agent renders ordinary chunks when no lender can, or when one has waited so long."""
    inspect_budget: int = 60
    inspect_memory: int = 2 * GIB
    probe_percent: int = 50
    frame_floor: int = 120
    """Least `max_seconds_per_frame`; otherwise `frame_factor` times the estimate."""
    frame_factor: int = 10

    least_weight: int = 5
    """Of 100: what the lowest bid weighs beside the highest when slots are shared between renters."""
    deadline_margin_percent: int = 125
    """A job with a deadline is given slots for so much of its estimate."""
    deadline_reserve: int = 150
    """So long before its deadline a job should have its last chunk given out: two and a half chunks."""
    urgent_percent: int = 90
    """Of the farm's slots, for jobs that would miss their deadlines otherwise."""

    copy_start: int = 5
    """What an agent needs before the first frame of a copy, bundle and container."""
    copy_gain: int = 15
    """A copy must save so much at least."""
    copy_patience: int = 90
    """A chunk that is late by less may still be held up by its agent's network or by our store: it is not copied for that."""
    copy_percent: int = 5
    """Of a job's work: the most that its copies may be worth together; one chunk may be copied always. 0: none."""

    tries: int = 3
    """Per frame; the last one on the house agent."""
    house_gives_up: int = 1800
    """So long after its first attempt that came to nothing; before that our own store may have been away."""
    interruptions: int = 3
    failures: int = 2
    """Of one agent on one job, in a row."""
    barred: int = 600
    """How long an agent is kept off a job after so many interruptions or failures in a row."""
    doubters: int = 2
    """Owners whose word on a scene keeps further lenders from it until the house has tried."""
    mishap: int = 3600
    """How long an agent's failure counts against it."""
    quarantine_renters: int = 3
    """An agent that failed jobs of so many renters, which others could render, is broken."""
    quarantine: int = 1800
    """For so long it gets nothing the first time; then twice as long each time, at most a day."""
    trust_frames: int = 500
    """Verified frames of a trusted agent, for so many renters and over so long."""
    trust_renters: int = 3
    trust_age: int = 86_400
    cached_gain_percent: int = 8
    """What a bundle that is there already is worth in choosing an agent: about five seconds of a minute."""
    cached_claim_percent: int = 110
    """An agent takes a job whose bundle it has before one with a claim so much stronger at most."""
    anchor_factor: int = 8
    """Work of a stranger's sample beyond this multiple of the anchor's is not plausible."""
    band_floor_percent: int = 10
    band_factor_percent: int = 300
    """Of the mean error of leaving knots out, over the root of their number."""

    drift_owners: int = 2
    """So many different owners must have shown what frames cost before a renter is asked again."""
    drift_frames: int = 5
    """Each of them so many frames."""
    drift_least_percent: int = 50
    """To be asked stops a job, perhaps for a night: what is left must be likely to take so much more than quoted. CPU seconds of
    the same frame differ by up to 30 % between an idle and a busy machine."""
    drift_left_percent: int = 10
    """Of the quoted work: with less left nobody is asked."""
    drift_versions: int = 4
    """The last one a job can get."""

    def after(self, name: str) -> timedelta:
        """One of the durations above, e.g. `after("settle")`."""
        return timedelta(seconds=getattr(self, name))
