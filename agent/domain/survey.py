"""From the survey's report (an untrusted process) to the facts of an inspection: bounded, checked, never judged."""

import json
from collections.abc import Iterable
from typing import Any

from contracts.events import InspectionReported, SceneFacts, SequenceGap, Shot
from contracts.grants import Grant
from contracts.values import LAST_FRAME, FrameRange

REPORT_BYTES = 2 << 20
ENTRIES = 200
LIST_BYTES = 8_000
"""Of each list as JSON: all of them together, twice, must stay below what the broker takes as one message."""
GAPS, GAP_RANGES, SHOTS = 20, 10, 100
MOST_BYTES = 1 << 44
MAX_CPU_SECONDS = 100_000
MOST_FPS_MILLI = 10_000_000


class NonsenseReport(Exception):
    """The report is not what the survey's protocol promises."""


def read_report(grant: Grant, body: bytes) -> InspectionReported:
    """Raises NonsenseReport."""
    try:
        report = json.loads(body)
        cpu = int(min(max(float(report.get("cpu_seconds", 0)), 0.0), MAX_CPU_SECONDS) * 1e6)
        if "error" in report:
            words = f"{report['error'].get('code', '')}: {report['error'].get('text', '')}"
            return InspectionReported(grant=grant, error=words[:2000], cpu_micros=cpu)
        return InspectionReported(grant=grant, facts=_facts(report), cpu_micros=cpu)
    except Exception as wrong:  # whatever a stranger's words do to our arithmetic: they end no program
        raise NonsenseReport(f"{type(wrong).__name__}: {str(wrong)[:200]}") from None


def _facts(report: dict[str, Any]) -> SceneFacts:
    scene, files = report["scene"], report["files"]
    return SceneFacts(
        blender_version=report["saved_by"],
        newer_than_renderer=report["newer_than_us"],
        engine=scene["engine"],
        scenes=_names(report["scenes"]),
        cameras=_names(scene["cameras"]),
        has_camera=scene["has_camera"],
        frame_start=scene["frame_start"],
        frame_end=scene["frame_end"],
        frame_step=scene["frame_step"],
        fps_milli=_fps_milli(scene["fps"], scene["fps_base"]),
        width=scene["width"],
        height=scene["height"],
        percentage=scene["percentage"],
        samples=scene["samples"],
        denoise=scene["denoise"],
        denoiser=str(scene.get("denoiser", ""))[:200],
        device=str(scene.get("device", ""))[:200],
        is_movie=scene["is_movie"],
        cropped=bool(scene.get("crop")),
        multiview=bool(scene.get("multiview")),
        sequencer=bool(scene.get("sequencer")),
        file_outputs=_names(f"{node['node']}: {node['path']}" for node in report.get("file_outputs", ())),
        missing=_missing(files, used=True),
        missing_unused=_missing(files, used=False),
        missing_blocks=_names(report.get("missing_blocks", ())),
        gaps=tuple(_gap(gap) for gap in report.get("gaps", ())[:GAPS]),
        scripts=_scripts(report),
        addons=_names(report.get("addons", ())),
        addon_data=_names(report.get("addon_data", ())),
        simulations=_names(f"{one['kind']} on {one['object']}" for one in report.get("unbaked_simulations", ())),
        simulated_from=_frame(report.get("simulated_from")),
        last_key=_frame(report.get("last_key")),
        shots=tuple(Shot(first=first, last=last, look=look) for first, last, look in report.get("shots", ())[:SHOTS]),
        packed_bytes=min(max(0, int(report.get("packed_bytes", 0))), MOST_BYTES),
        memory_bytes=report["memory_bytes"],
    )


def _fps_milli(fps: float, base: float) -> int:
    """A .blend may hold any two numbers, also a base of 0, and is rendered all the same: only its film has a speed."""
    return round(min(max(1000 * fps / (base if base > 0 else 1.0), 1), MOST_FPS_MILLI))


def _gap(gap: dict[str, Any]) -> SequenceGap:
    frames = tuple(FrameRange(first=first, last=last) for first, last in gap["frames"][:GAP_RANGES])
    return SequenceGap(name=_bounded(str(gap["name"]), 100), frames=frames)


def _frame(said: Any) -> int | None:
    """What lies beyond Blender's own bounds is no frame."""
    return int(said) if said is not None and abs(int(said)) <= LAST_FRAME else None


def _missing(files: list[dict[str, Any]], used: bool) -> tuple[str, ...]:
    """Files that are absent, or lie outside the bundle on a machine that is not here."""
    absent = (file for file in files if not file["packed"] and not (file["exists"] and file["inside"]))
    return _texts((f"{file['kind']}: {file['path']}" for file in absent if bool(file["used"]) is used), 300)


def _scripts(report: dict[str, Any]) -> tuple[str, ...]:
    """Everything that is code and will not run."""
    texts = (f"text {text['name']}" for text in report["texts"] if text["registered"])
    drivers = (f"driver on {driver['owner']}: {driver['expression']}" for driver in report["scripted_drivers"])
    osl = (f"OSL on {node['owner']}: {node['node']}" for node in report["osl"])
    return _names([*texts, *drivers, *osl])


def _names(names: Iterable[Any]) -> tuple[str, ...]:
    return _texts((str(name) for name in names), 200)


def _texts(texts: Iterable[str], most: int) -> tuple[str, ...]:
    """As many of them, from the first, as LIST_BYTES take."""
    found, room = list[str](), LIST_BYTES
    for text in texts:
        short = _bounded(text, most)
        room -= len(json.dumps(short, ensure_ascii=False).encode(errors="replace")) + 1
        if room < 0 or len(found) == ENTRIES:
            break
        found.append(short)
    return tuple(found)


def _bounded(text: str, most: int) -> str:
    """Without lone surrogates, which no JSON of ours may hold."""
    return text[:most].encode(errors="replace").decode()
