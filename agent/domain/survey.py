"""From the survey's report (an untrusted process) to the facts of an inspection: bounded, checked, never judged."""

import json
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from contracts.events import InspectionReported, SceneFacts
from contracts.grants import Grant

REPORT_BYTES = 2 << 20
ENTRIES = 200
MAX_CPU_SECONDS = 100_000


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
    except (ValueError, TypeError, KeyError, AttributeError, ValidationError, RecursionError) as wrong:
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
        fps_milli=round(1000 * scene["fps"] / scene["fps_base"]),
        width=scene["width"],
        height=scene["height"],
        percentage=scene["percentage"],
        samples=scene["samples"],
        denoise=scene["denoise"],
        is_movie=scene["is_movie"],
        cropped=bool(scene.get("crop")),
        multiview=bool(scene.get("multiview")),
        missing=_missing(files, used=True),
        missing_unused=_missing(files, used=False),
        scripts=_scripts(report),
        memory_bytes=report["memory_bytes"],
    )


def _missing(files: list[dict[str, Any]], used: bool) -> tuple[str, ...]:
    """Files that are absent, or lie outside the bundle on a machine that is not here."""
    absent = (file for file in files if not file["packed"] and not (file["exists"] and file["inside"]))
    return tuple(f"{file['kind']}: {file['path']}"[:2000] for file in absent if bool(file["used"]) is used)[:ENTRIES]


def _scripts(report: dict[str, Any]) -> tuple[str, ...]:
    """Everything that is code and will not run."""
    texts = (f"text {text['name']}" for text in report["texts"] if text["registered"])
    drivers = (f"driver on {driver['owner']}: {driver['expression']}" for driver in report["scripted_drivers"])
    osl = (f"OSL on {node['owner']}: {node['node']}" for node in report["osl"])
    return _names([*texts, *drivers, *osl])


def _names(names: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(name)[:200] for name in names)[:ENTRIES]
