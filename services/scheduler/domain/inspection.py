"""From the facts of a file to findings a renter can act on, and to what will be rendered."""

from dataclasses import dataclass, replace

from contracts.events import Event, InspectionReported, JobInspected, SceneFacts
from contracts.values import MAX_JOB_FRAMES, Finding, FrameRange, Kind, Picture, Ranges, RenderSettings, Severity, count
from services.scheduler.domain import job as jobs
from services.scheduler.domain.job import Job, Measured
from services.scheduler.domain.picture import MAX_SIDE, memory_bytes, picture, sides
from services.scheduler.domain.policy import GIB
from services.scheduler.domain.spans import normalised
from services.scheduler.domain.states import JobState

ENGINE_NAMES = {
    "BLENDER_EEVEE": "EEVEE", "BLENDER_EEVEE_NEXT": "EEVEE", "BLENDER_WORKBENCH": "Workbench", "CYCLES": "Cycles",
}  # fmt: skip
DRIVER_LAST_FRAME = 999_999
"""The render driver names files with six digits."""
MOST_RANGES = 10_000
SHOWN = 10
BIG_SIDE = 8_192

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


@dataclass(frozen=True)
class Verdict:
    findings: tuple[Finding, ...]
    frames: Ranges = ()
    picture: Picture | None = None
    memory_bytes: int = 0

    @property
    def accepted(self) -> bool:
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def judged(facts: SceneFacts, asked: Ranges, settings: RenderSettings, largest_agent: int) -> Verdict:
    """`largest_agent`: bytes of memory that the best agent of the farm lends, 0 when none is known."""
    spans, about_frames = _frames(facts, asked)
    size, about_size = _size(facts, settings)
    need = memory_bytes(facts, size) if size else 0
    findings = (
        *_engine(facts), *_cameras(facts, settings), *_scene(facts, settings), *_version(facts), *_files(facts), *_shape(facts),
        *_output(facts), *_scripts(facts), *about_frames, *about_size, *_memory(need, largest_agent),
    )  # fmt: skip
    return Verdict(findings[:100], spans, size, need)


BLENDERS_WORDS = {
    "File format is not supported": "it is not a .blend",
    "Missing DNA block": "it is damaged or was cut off",
    "incomplete header": "it is damaged or was cut off",
    "No such file": "the upload does not hold it",
}
"""When a file does not open, and what they mean."""


def unreadable(error: str) -> Verdict:
    """The file could not be opened; `error` holds Blender's words, with a code before them and paths as the sandbox sees them."""
    blender = error.removeprefix("cannot_open: ").replace("/in/bundle/", "").replace("Error: ", "")
    plain = next((meaning for part, meaning in BLENDERS_WORDS.items() if part in blender), None)
    words = f"{plain} ({blender})" if plain else blender
    fix = "Open the file in Blender 5.0, save it again, and check that the upload is complete."
    return Verdict((_finding("cannot_open", _ERROR, f"Blender cannot open this file: {words}", fix),))


def inspected(job: Job, report: InspectionReported, micro_wu: int, largest_agent: int) -> tuple[Job, list[Event]]:
    """Accepted, the job is ready to be sampled (see domain.sampling); refused, it fails with the first error as its reason."""
    if jobs.stage(job) is not JobState.INSPECTING or job.asked is None:
        return job, []
    if report.facts is None:
        verdict = unreadable(report.error or "no reason was given")
    else:
        verdict = judged(report.facts, job.asked.frames, job.asked.settings, largest_agent)
    measured = Measured(report.grant.attempt, report.grant.agent, Kind.INSPECT, micro_wu)
    job = replace(
        job,
        facts=report.facts,
        frames=verdict.frames,
        total=count(verdict.frames),
        picture=verdict.picture,
        memory_bytes=verdict.memory_bytes,
        measured=(*job.measured, measured),
    )
    told = JobInspected(
        job=job.job, account=job.account, accepted=verdict.accepted, findings=verdict.findings, facts=report.facts,
        frames=verdict.frames,
    )  # fmt: skip
    if verdict.accepted:
        return job, [told]
    worst = next(finding for finding in verdict.findings if finding.severity is Severity.ERROR)
    job, ended = jobs.failed(job, worst.code, worst.text, worst.fix)
    return job, [told, *ended]


def _finding(code: str, severity: Severity, text: str, fix: str = "") -> Finding:
    return Finding(code=code, severity=severity, text=text[:2000], fix=fix[:2000])


def _engine(facts: SceneFacts) -> list[Finding]:
    if facts.engine == "CYCLES":
        return []
    name = ENGINE_NAMES.get(facts.engine, facts.engine)
    why = "needs a graphics card, which no online agent offers" if name == "EEVEE" else "is not offered by this farm"
    fix = "Set Render Properties → Render Engine to Cycles, check the look, save and submit again."
    return [_finding("engine", _ERROR, f"The file renders with {name}, which {why}.", fix)]


def _cameras(facts: SceneFacts, settings: RenderSettings) -> list[Finding]:
    if settings.camera is not None and settings.camera not in facts.cameras:
        known = ", ".join(facts.cameras[:SHOWN]) or "none"
        return [_finding("camera", _ERROR, f"There is no camera “{settings.camera}”.", f"Cameras in the file: {known}.")]
    if not facts.has_camera and settings.camera is None:
        return [
            _finding("no_camera", _ERROR, "The scene has no active camera.", "Add a camera, make it the active one, and save.")
        ]
    return []


def _scene(facts: SceneFacts, settings: RenderSettings) -> list[Finding]:
    if settings.scene is None or settings.scene in facts.scenes:
        return []
    known = ", ".join(facts.scenes[:SHOWN]) or "none"
    return [_finding("scene", _ERROR, f"There is no scene “{settings.scene}”.", f"Scenes in the file: {known}.")]


def _version(facts: SceneFacts) -> list[Finding]:
    if not facts.newer_than_renderer:
        return []
    text = f"The file was saved by Blender {facts.blender_version}, which is newer than the farm's; it would lose data."
    return [_finding("newer_blender", _ERROR, text, "Save it with Blender 5.0.")]


def _files(facts: SceneFacts) -> list[Finding]:
    found = []
    if facts.missing:
        fix = "Pack them (File → External Data → Pack Resources) or put them beside the .blend with relative paths."
        found.append(
            _finding("missing_files", _ERROR, f"Files the picture needs are not in the upload: {_some(facts.missing)}.", fix)
        )
    if facts.missing_unused:
        text = f"Files are missing that do not change the picture: {_some(facts.missing_unused)}."
        found.append(_finding("missing_unused", _INFO, text))
    return found


def _shape(facts: SceneFacts) -> list[Finding]:
    """What would give other pictures than one whole picture per frame, which is what storage verifies."""
    found = []
    if facts.cropped:
        text = "The file crops its pictures to a render region, which the farm does not offer yet."
        found.append(_finding("cropped", _ERROR, text, "Switch off Output Properties → Format → Crop to Render Region."))
    if facts.multiview:
        text = "The file renders several views per frame, which the farm does not offer yet."
        found.append(_finding("multiview", _ERROR, text, "Switch off Output Properties → Stereoscopy."))
    return found


def _output(facts: SceneFacts) -> list[Finding]:
    if not facts.is_movie:
        return []
    text = "The file writes a film; the farm writes one picture per frame and makes the film from them."
    return [_finding("movie_output", _WARNING, text, "Nothing to do, unless you need that film's own settings.")]


def _scripts(facts: SceneFacts) -> list[Finding]:
    if not facts.scripts:
        return []
    text = f"The file has scripts or Python drivers, which never run on the farm: {_some(facts.scripts)}."
    return [_finding("scripts", _WARNING, text, "If the picture depends on them, bake their result before you submit.")]


def _frames(facts: SceneFacts, asked: Ranges) -> tuple[Ranges, list[Finding]]:
    if not asked and facts.frame_end < facts.frame_start:
        fix = "Set Output Properties → Frame Range, or name the frames when you submit."
        return (), [_finding("no_frames", _ERROR, f"The frame range {facts.frame_start}–{facts.frame_end} is empty.", fix)]
    spans = asked or (FrameRange(first=facts.frame_start, last=facts.frame_end, step=facts.frame_step),)
    if count(spans) > MAX_JOB_FRAMES:
        text = f"{count(spans):,} frames are more than a job may have ({MAX_JOB_FRAMES:,})."
        return (), [_finding("too_many_frames", _ERROR, text, "Name the frames when you submit, or split the job.")]
    spans = normalised(spans)
    if len(spans) > MOST_RANGES:
        return (), [_finding("scattered_frames", _ERROR, "The frame list is too scattered.", "Split it into several jobs.")]
    if max(abs(spans[0].first), abs(spans[-1].last)) > DRIVER_LAST_FRAME:
        return (), [_finding("frame_number", _ERROR, "Frame numbers beyond ±999,999 cannot be rendered.", "Move the animation.")]
    return spans, _outside(facts, spans)


def _outside(facts: SceneFacts, spans: Ranges) -> list[Finding]:
    if spans[0].first >= facts.frame_start and max(span.last for span in spans) <= facts.frame_end:
        return []
    text = f"Some frames lie outside the file's own range {facts.frame_start}–{facts.frame_end}; they are rendered as asked."
    return [_finding("outside_range", _INFO, text)]


def _size(facts: SceneFacts, settings: RenderSettings) -> tuple[Picture | None, list[Finding]]:
    width, height = sides(facts, settings)
    if max(width, height) > MAX_SIDE:
        text = f"Pictures of {width} × {height} pixels are larger than the farm's limit of {MAX_SIDE:,} a side."
        return None, [_finding("resolution", _ERROR, text, "Lower the resolution or its percentage.")]
    size = picture(facts, settings)
    if max(width, height) > BIG_SIDE:
        return size, [_finding("big_pictures", _WARNING, f"Pictures of {width} × {height} pixels are large and slow.")]
    return size, []


def _memory(need: int, largest_agent: int) -> list[Finding]:
    if need <= largest_agent or not largest_agent:
        return []
    text = f"One frame needs about {need / GIB:.1f} GB of memory; the largest agent online lends {largest_agent / GIB:.1f} GB."
    return [_finding("memory", _ERROR, text, "Use smaller textures, less subdivision or a lower resolution.")]


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(name[:120] for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
