"""A job from its submission to its end: its plan and its state.

Theory. The document holds the plan (what was asked, what was found, what sampling measured, which ranges are not cut yet) and
never grows with its frames; those live in chunks. A stretch of frames leaves `uncut` in the same write that names its chunk in
`cuts`, so a crash between that and the chunk's insertion is repaired by inserting it again. While paused, facts still move the
stage beneath. Control revisions come from one publisher and only grow; an early cancel is remembered until the job arrives.
"""

from dataclasses import dataclass, field
from datetime import datetime

from contracts.events import (
    Action,
    Event,
    HoldRefused,
    JobCancelled,
    JobControlled,
    JobFailed,
    JobRendered,
    JobStateChanged,
    JobSubmitted,
    SamplingMeasured,
    SceneFacts,
    Wishes,
)
from contracts.values import Band, Curve, Kind, Picture, Ranges, RenderSettings
from services.scheduler.domain.doubts import NONE as NO_DOUBTS
from services.scheduler.domain.doubts import Doubts
from services.scheduler.domain.measured import Measured, counted, plausible
from services.scheduler.domain.peaks import MemoryPeak, Raised
from services.scheduler.domain.quick import replace
from services.scheduler.domain.states import ENDED, JOB_MOVES, JobState, check

STORY = 24
MOST_WORDS = 2_000
"""Characters of a reason that events can hold; no job keeps a longer one, since it is told to its attempts, too."""
NO_WISHES = Wishes()


@dataclass(frozen=True)
class Cut:
    """A chunk that is to exist: its id follows from the job and its frames, so inserting it twice is harmless."""

    chunk: str
    kind: Kind
    frames: Ranges = ()
    house: bool = False
    version: int = 0


@dataclass(frozen=True)
class Sample:
    """One frame of the sampling plan; `micro_wu` is its cost once known. `kept`: the frame itself is stored and final."""

    frame: int
    anchor: bool
    micro_wu: int | None = None
    kept: bool = False
    probing: bool = False
    witness: bool = False
    """On a house agent: beside a lender's frame that stands out, or where each sample counts much."""


@dataclass(frozen=True)
class Former:
    """A version that was superseded: frames given out under it keep its price."""

    version: int
    curve: Curve


@dataclass(frozen=True)
class Job:
    job: str
    account: str
    created_at: datetime
    asked: JobSubmitted | None = None
    """None only for a tombstone: a cancel that came before the job."""
    state: JobState = JobState.SUBMITTED
    stage: JobState | None = None
    """While paused: where it goes back to."""
    reason: str = ""
    revision: int = 0
    story: tuple[str, ...] = ()
    control: int = 0
    """The last control revision that counted."""
    wishes: Wishes = NO_WISHES
    facts: SceneFacts | None = None
    frames: Ranges = ()
    total: int = 0
    picture: Picture | None = None
    memory_bytes: int = 0
    memory_peaks: tuple[MemoryPeak, ...] = ()
    ran_out_of_memory: bool = False
    ran_out: tuple[str, ...] = ()
    """Owners whose attempts had too little of `memory_bytes`, fewer than doubt it."""
    raised: Raised | None = None
    raised_by: tuple[str, ...] = ()
    """Owners whose word has raised it; they are not heard again."""
    doubts: Doubts = NO_DOUBTS
    missed: datetime | None = None
    """The deadline that was told to be missed."""
    judged: datetime | None = None
    promised: datetime | None = None
    """The deadline that was in reach when a price was made; when the accepted one was."""
    samples: tuple[Sample, ...] = ()
    is_second_round: bool = False
    """Or a later one."""
    sampling_limit: int = 0
    """Micro-WU that the deposit pays for."""
    measured: tuple[Measured, ...] = ()
    version: int = 0
    curve: Curve | None = None
    former: tuple[Former, ...] = ()
    micro_wu: Band | None = None
    seconds: Band | None = None
    most_micro_wu: int = 0
    """Of the costliest frame the curve knows."""
    to_render: int = 0
    """Frames that were uncut when the estimate was made."""
    uncut: Ranges = ()
    cuts: tuple[Cut, ...] = ()
    copied_micro_wu: int = 0
    trace: dict[str, str] = field(default_factory=dict)
    """W3C trace context of the submission, carried into every assignment."""


Decided = tuple[Job, list[Event]]


def stage(job: Job) -> JobState:
    """Where the job is, or, while paused, where it will go back to."""
    return job.stage if job.state is JobState.PAUSED and job.stage is not None else job.state


def is_over(job: Job) -> bool:
    """Nothing of it is given out any more."""
    return job.state in ENDED


def bid(job: Job) -> int:
    return job.asked.price_per_wu_micro if job.asked else 0


def settings(job: Job) -> RenderSettings:
    return job.asked.settings if job.asked else RenderSettings()


def curve_of(job: Job, version: int) -> Curve | None:
    """A frame earns what the version of its attempt says."""
    return next((one.curve for one in job.former if one.version == version), job.curve)


def anchor_micro_wu(job: Job) -> int | None:
    return next((sample.micro_wu for sample in job.samples if sample.anchor), None)


def submitted(job: Job | None, asked: JobSubmitted, now: datetime) -> Decided:
    """The renter's word; if a cancel was here first, the job ends at once."""
    if job is None:
        fresh = Job(asked.job, asked.account, now, asked)
        return retold(replace(fresh, reason="waiting for the sampling deposit to be held"))
    if job.asked is not None:
        return job, []
    known = replace(job, asked=asked)
    return cancelled(known, "cancelled by its owner before it began")


def advanced(job: Job, to: JobState, reason: str) -> Decided:
    """A move on the main line; beneath a pause only the stage changes. Raises IllegalMove."""
    check(JOB_MOVES, f"job {job.job}", stage(job), to, "; ".join(job.story))
    if job.state is JobState.PAUSED and to not in ENDED:
        return replace(job, stage=to), []
    return retold(replace(job, state=to, stage=None, reason=reason))


def hold_refused(job: Job, refused: HoldRefused) -> Decided:
    """Without the deposit there is no job; a quote whose hold was refused stays open until it expires."""
    if refused.version != 0 or stage(job) is not JobState.SUBMITTED:
        return job, []
    return failed(
        job, "deposit_refused", f"the sampling deposit could not be held: {refused.text}", "Add credits and submit again."
    )


def controlled(job: Job | None, said: JobControlled, now: datetime) -> Decided:
    """Cancel, pause, resume; older revisions are ignored. A cancel of a job we do not know leaves a tombstone."""
    if job is None:
        return Job(said.job, said.account, now, control=said.revision, reason="cancelled before it was submitted"), []
    if said.revision <= job.control:
        return job, []
    job = replace(job, control=said.revision)
    if is_over(job) or job.asked is None:
        return job, []
    if said.action is Action.CANCEL:
        return cancelled(job, f"cancelled by {said.by}")
    return _paused(job, said.by) if said.action is Action.PAUSE else _resumed(job)


def remarked(job: Job, reason: str) -> Decided:
    """Where it is, with words that its renter should read. Not a second time, nor beneath a pause."""
    reason = reason[:MOST_WORDS]
    return (
        (job, []) if job.reason == reason or is_over(job) or job.state is JobState.PAUSED else retold(replace(job, reason=reason))
    )


def cancelled(job: Job, reason: str) -> Decided:
    job, told = _ended(job, JobState.CANCELLED, reason)
    return job, [*told, JobCancelled(job=job.job, account=job.account, reason=job.reason)]


def failed(job: Job, code: str, reason: str, hint: str = "", log_tail: str = "") -> Decided:
    """The job cannot go on; nothing happens when it is over already."""
    if is_over(job):
        return job, []
    job, told = _ended(job, JobState.FAILED, reason)
    event = JobFailed(
        job=job.job, account=job.account, code=code, reason=job.reason, hint=hint[:MOST_WORDS], log_tail=log_tail[-8000:]
    )
    return job, [*told, event]


def rendered(job: Job) -> Decided:
    """Nothing is uncut and no chunk is open: the caller has looked."""
    if stage(job) not in (JobState.QUEUED, JobState.RENDERING) or job.uncut:
        return job, []
    job, told = advanced(job, JobState.PACKAGING, "every frame is stored; making the archive and the film")
    fps = job.facts.fps_milli if job.facts else 24_000
    return job, [*told, JobRendered(job=job.job, account=job.account, fps_milli=fps)]


def packaged(job: Job) -> Decided:
    if job.state is not JobState.PACKAGING:
        return job, []
    return advanced(job, JobState.COMPLETED, "ready to download")


def purged(job: Job) -> Decided:
    if job.state not in (JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED):
        return job, []
    return advanced(job, JobState.PURGED, "its files were removed after the keeping time")


def sampling_measured(job: Job, factor: int) -> SamplingMeasured:
    """Work that the deposit pays: nobody's counts for more than is plausible."""
    most = plausible(anchor_micro_wu(job), factor, job.sampling_limit)
    return SamplingMeasured(job=job.job, work=tuple(counted(one, most) for one in job.measured))


ANCHOR_FACTOR = 8
"""Default of `Policy.anchor_factor`, for a job that ends while it is sampled."""


def _ended(job: Job, to: JobState, reason: str) -> Decided:
    """Stops everything; what sampling has measured so far is still paid."""
    measured: list[Event] = []
    if job.measured and stage(job) in (JobState.INSPECTING, JobState.ESTIMATING):
        measured.append(sampling_measured(job, ANCHOR_FACTOR))
    check(JOB_MOVES, f"job {job.job}", job.state, to, "; ".join(job.story))
    job, told = retold(replace(job, state=to, stage=None, reason=reason, uncut=(), cuts=()))
    return job, [*measured, *told]


def _paused(job: Job, by: str) -> Decided:
    if job.state is JobState.PAUSED:
        return job, []
    check(JOB_MOVES, f"job {job.job}", job.state, JobState.PAUSED, "; ".join(job.story))
    return retold(replace(job, state=JobState.PAUSED, stage=job.state, reason=f"paused by {by}; finished frames are kept"))


def _resumed(job: Job) -> Decided:
    if job.state is not JobState.PAUSED or job.stage is None:
        return job, []
    return retold(replace(job, state=job.stage, stage=None, reason="resumed"))


def retold(job: Job) -> Decided:
    """One move more: the revision grows and the move is told and remembered."""
    story = (*job.story, f"{job.state}: {job.reason}"[:200])[-STORY:]
    job = replace(job, revision=job.revision + 1, story=story, reason=job.reason[:MOST_WORDS])
    changed = JobStateChanged(job=job.job, account=job.account, state=job.state, reason=job.reason, revision=job.revision)
    return job, [changed]
