"""What a render container is asked to do: the task, read strictly and refused loudly. Pure but for reading its one file."""

from __future__ import annotations

import json
import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

INSIDE = os.environ.get("FRAMELEND_IN", "/in")  # where what a task calls /in really lies, where there is no container
TASK_FILE = f"{INSIDE}/task.json"
MAX_FRAMES = 10_000
MAX_SIDE = 65_536
DEPTHS = {"PNG": ("8", "16"), "OPEN_EXR": ("16", "32")}
CHANGES = (
    *("render-with-cycles", "pictures-instead-of-video", "full-resolution", "whole-picture", "one-view", "first-camera"),
    *("without-sequencer", "without-file-outputs", "step-simulations"),
)  # changes.py makes them
SUFFIXES = {"PNG": ".png", "OPEN_EXR": ".exr"}

Value = TypeVar("Value", int, str, bool)


class BadTask(Exception):
    """The task does not parse or asks for the impossible: whoever wrote it is at fault, never the scene."""


@dataclass(frozen=True)
class Settings:
    """What the job overrides; `None` leaves what the file says."""

    width: int | None = None
    height: int | None = None
    percentage: int | None = None
    format: str = "PNG"
    color_depth: str = "8"
    samples: int | None = None
    camera: str | None = None
    scene: str | None = None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One list of frames of one .blend."""

    blend: str
    frames: tuple[int, ...]
    settings: Settings
    scale_percent: int = 100
    gpu: bool = False


def read_task(arguments: list[str]) -> Task:
    """Reads the task from the one argument (JSON text or a path), else from `/in/task.json`."""
    if len(arguments) > 1:
        raise BadTask("at most one argument: the task as JSON, or the path of its file")
    source = arguments[0] if arguments else TASK_FILE
    try:
        text = source if source.lstrip().startswith("{") else Path(source).read_text(encoding="utf-8")
        return parse_task(json.loads(text))
    except (OSError, ValueError) as error:
        raise BadTask(f"the task cannot be read: {error}") from error


def parse_task(raw: Any) -> Task:
    """Raises `BadTask` with the field's name when anything is off."""
    fields = _object(raw, "task", {"blend", "frames", "settings", "scale_percent", "gpu"})
    scale = _within(_maybe(fields, "scale_percent", int), "scale_percent", 1, 100)
    return Task(
        blend=_blend(fields.get("blend")),
        frames=_frames(fields.get("frames") or []),
        settings=_settings(fields.get("settings") or {}),
        scale_percent=100 if scale is None else scale,
        gpu=_maybe(fields, "gpu", bool) or False,
    )


def _settings(raw: Any) -> Settings:
    fields = _object(raw, "settings", set(Settings.__dataclass_fields__))
    form = _maybe(fields, "format", str) or "PNG"
    if form not in DEPTHS:
        raise BadTask(f"settings.format: {form!r} is none of {sorted(DEPTHS)}")
    depth = _maybe(fields, "color_depth", str) or DEPTHS[form][0]
    if depth not in DEPTHS[form]:
        raise BadTask(f"settings.color_depth: {depth!r} is none of {DEPTHS[form]} for {form}")
    return Settings(
        width=_within(_maybe(fields, "width", int), "settings.width", 4, MAX_SIDE),
        height=_within(_maybe(fields, "height", int), "settings.height", 4, MAX_SIDE),
        percentage=_within(_maybe(fields, "percentage", int), "settings.percentage", 1, 100),
        format=form,
        color_depth=depth,
        samples=_within(_maybe(fields, "samples", int), "settings.samples", 1, 1_000_000),
        camera=_maybe(fields, "camera", str),
        scene=_maybe(fields, "scene", str),
        changes=_changes(fields.get("changes") or []),
    )


def _changes(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(name, str) and name in CHANGES for name in raw):
        raise BadTask(f"settings.changes: not a list of {sorted(CHANGES)}")
    return tuple(raw)


def _object(raw: Any, name: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise BadTask(f"{name}: not a JSON object")
    strange = sorted(set(raw) - known)
    if strange:
        raise BadTask(f"{name}: unknown fields {strange[:5]}")
    return raw


def _blend(raw: Any) -> str:
    if not isinstance(raw, str) or "\0" in raw or not posixpath.normpath(raw).startswith("/in/"):
        raise BadTask("blend: not a path inside /in")
    return INSIDE + posixpath.normpath(raw).removeprefix("/in")


def _frames(raw: Any) -> tuple[int, ...]:
    if not isinstance(raw, list) or not all(type(frame) is int and abs(frame) <= 999_999 for frame in raw):
        raise BadTask("frames: not a list of whole numbers within ±999999")
    if len(raw) > MAX_FRAMES or len(set(raw)) != len(raw):
        raise BadTask(f"frames: more than {MAX_FRAMES}, or one of them twice")
    return tuple(raw)


def _maybe(fields: dict[str, Any], name: str, kind: type[Value]) -> Value | None:
    value = fields.get(name)
    if value is not None and type(value) is not kind:
        raise BadTask(f"{name}: not {kind.__name__}")
    return value


def _within(value: int | None, name: str, low: int, high: int) -> int | None:
    if value is not None and not low <= value <= high:
        raise BadTask(f"{name}: {value} is not within {low} to {high}")
    return value
