"""From the facts of a file to findings a renter can act on, the verdict on the file as a whole, and what will be rendered.

Each check is a function of its own in looking_at_scene, looking_at_files, looking_at_frames. An error stops the job; a warning
tells what will be otherwise than the file says; what cannot change the picture is info. Some findings offer a change that the
farm can make by itself; the renter takes it by submitting again with that word in the settings, and the finding is gone.
"""

from dataclasses import dataclass, replace

from contracts.changes import Change, Support
from contracts.events import Event, InspectionReported, JobInspected, SceneFacts
from contracts.values import Finding, Kind, Picture, Ranges, RenderSettings, Severity, count
from services.scheduler.domain import job as jobs
from services.scheduler.domain import looking_at_files, looking_at_frames, looking_at_scene
from services.scheduler.domain.job import Job
from services.scheduler.domain.looking import Case, error
from services.scheduler.domain.measured import Measured
from services.scheduler.domain.picture import memory_bytes
from services.scheduler.domain.states import JobState

MOST_FINDINGS = 60
ABOUT_SCENE = (
    looking_at_scene.engine, looking_at_scene.cameras, looking_at_scene.scenes, looking_at_scene.version,
    looking_at_files.missing, looking_at_files.linked, looking_at_files.unused,
    looking_at_scene.shape, looking_at_scene.output, looking_at_scene.code, looking_at_scene.cards,
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    findings: tuple[Finding, ...]
    frames: Ranges = ()
    picture: Picture | None = None
    memory_bytes: int = 0

    @property
    def accepted(self) -> bool:
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Offered by errors and warnings, each once."""
        return tuple(dict.fromkeys(finding.change for finding in self.findings if finding.change))

    @property
    def support(self) -> Support:
        if any(finding.change is None for finding in self.errors):
            return Support.UNSUPPORTED
        return Support.WITH_CHANGES if self.changes else Support.SUPPORTED


def judged(facts: SceneFacts, asked: Ranges, settings: RenderSettings, largest_agent: int, bundle_bytes: int = 0) -> Verdict:
    """See Case for what these are."""
    case = Case(facts, settings, asked, largest_agent, bundle_bytes)
    spans, about_frames = looking_at_frames.frames(case)
    size, about_size = looking_at_frames.size(case)
    need = memory_bytes(facts, size) if size else 0
    last = max((span.last for span in spans), default=None)
    findings = (
        *(finding for check in ABOUT_SCENE for finding in check(case)),
        *looking_at_files.sequences(case, spans), *looking_at_scene.simulations(case, last),
        *about_frames, *about_size, *looking_at_frames.memory(case, need), *looking_at_frames.weight(case, spans, size),
    )  # fmt: skip
    return Verdict(findings[:MOST_FINDINGS], spans, size, need)


BLENDERS_WORDS = {
    "File format is not supported": "it is not a .blend",
    "Missing DNA block": "it is damaged or was cut off",
    "incomplete header": "it is damaged or was cut off",
    "No such file": "the upload does not hold it",
}
"""When a file does not open, and what they mean."""


def unreadable(said: str) -> Verdict:
    """The file could not be opened; `said` holds Blender's words, with a code before them and paths as the sandbox sees them."""
    blender = said.removeprefix("cannot_open: ").replace("/in/bundle/", "").replace("Error: ", "")
    plain = next((meaning for part, meaning in BLENDERS_WORDS.items() if part in blender), None)
    words = f"{plain} ({blender})" if plain else blender
    fix = "Open the file in Blender 5.0, save it again, and check that the upload is complete."
    return Verdict((error("cannot_open", f"Blender cannot open this file: {words}", fix),))


def inspected(job: Job, report: InspectionReported, micro_wu: int, largest_agent: int) -> tuple[Job, list[Event]]:
    """Accepted, the job is ready to be sampled (see domain.sampling); refused, it fails with the first error as its reason."""
    if jobs.stage(job) is not JobState.INSPECTING or job.asked is None:
        return job, []
    if report.facts is None:
        verdict = unreadable(report.error or "no reason was given")
    else:
        verdict = judged(report.facts, job.asked.frames, job.asked.settings, largest_agent, job.asked.bundle_bytes)
    measured = Measured(report.grant.attempt, report.grant.agent, Kind.INSPECT, micro_wu)
    job = replace(
        job,
        facts=_as_rendered(report.facts, job.asked.settings),
        frames=verdict.frames,
        total=count(verdict.frames),
        picture=verdict.picture,
        memory_bytes=verdict.memory_bytes,
        measured=(*job.measured, measured),
    )
    told = JobInspected(
        job=job.job, account=job.account, accepted=verdict.accepted, findings=verdict.findings, facts=report.facts,
        frames=verdict.frames, support=verdict.support,
    )  # fmt: skip
    if verdict.accepted:
        return job, [told]
    worst = verdict.errors[0]
    job, ended = jobs.failed(job, worst.code, worst.text, _hint(job.job, worst, verdict))
    return job, [told, *ended]


def _as_rendered(facts: SceneFacts | None, settings: RenderSettings) -> SceneFacts | None:
    """Lenders accept engines by what their machines will run, not by what stands in the file."""
    if facts is None or Change.RENDER_WITH_CYCLES not in settings.changes:
        return facts
    return facts.model_copy(update={"engine": "CYCLES"})


def _hint(job: str, worst: Finding, verdict: Verdict) -> str:
    if verdict.support is not Support.WITH_CHANGES:
        return worst.fix
    needed = " ".join(dict.fromkeys(finding.change for finding in verdict.errors if finding.change))
    return f"{worst.fix} The farm can do it for you: on the job's page, or with `framelend apply {job} {needed}`."
