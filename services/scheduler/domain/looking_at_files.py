"""Checks of what a scene needs beside itself. What is missing but cannot change the picture is no error."""

from contracts.changes import Change
from contracts.events import SequenceGap
from contracts.values import Finding, FrameRange, Ranges
from services.scheduler.domain.looking import Case, error, info, some

PACK = "Pack them (File → External Data → Pack Resources) or put them beside the .blend with relative paths, and submit again."
FOLDER = "Submit the folder that holds them (--assets)."
KINDS = {
    "image": ("missing_image", "Images the picture needs are not in the upload", PACK),
    "movieclip": ("missing_image", "Video clips the picture needs are not in the upload", PACK),
    "light profile": ("missing_image", "Light profiles the picture needs are not in the upload", PACK),
    "tile": ("missing_tile", "UDIM tiles the picture needs are not in the upload", PACK),
    "library": (
        "missing_library",
        "Linked libraries are not in the upload",
        "Submit the folder that holds them (--assets), or make what is linked local (Object → Relations → Make Local → All).",
    ),
    "font": ("missing_font", "Fonts the picture needs are not in the upload", PACK),
    "cache": ("missing_cache", "Caches the picture needs are not in the upload", FOLDER),
    "volume": (
        "missing_cache",
        "Volumes the picture needs are not in the upload",
        "Submit the folder that holds them (--assets).",
    ),
    "strip": (
        "missing_strip",
        "Files of the video sequencer are not in the upload",
        "Submit them too, or render the scene.",
    ),
}
"""Kind of file → code, words, remedy."""
OTHER = ("missing_file", "Files the picture needs are not in the upload", PACK)


def missing(case: Case) -> list[Finding]:
    lost = [tuple(name.partition(": ")[::2]) for name in case.facts.missing]
    if case.made(Change.WITHOUT_SEQUENCER):
        lost = [one for one in lost if one[0] != "strip"]
    away = tuple(path for kind, path in lost if not path.startswith("//") and kind != "strip")
    found = [_absolute(away)] if away else []
    for kind in dict.fromkeys(kind for kind, _ in lost):
        paths = tuple(path for one, path in lost if one == kind and path not in away)
        if paths:
            code, words, fix = KINDS.get(kind, OTHER)
            change = Change.WITHOUT_SEQUENCER if kind == "strip" else None
            found.append(error(code, f"{words}: {some(paths)}.", fix, change))
    return found


def _absolute(paths: tuple[str, ...]) -> Finding:
    text = f"Files the picture needs are named by a path on your own machine: {some(paths)}."
    fix = "File → External Data → Make All Paths Relative, with the files below the .blend's folder; or pack them. Submit again."
    return error("absolute_path", text, fix)


def unused(case: Case) -> list[Finding]:
    if not case.facts.missing_unused:
        return []
    return [info("missing_unused", f"Files are missing that do not change the picture: {some(case.facts.missing_unused)}.")]


def linked(case: Case) -> list[Finding]:
    if not case.facts.missing_blocks:
        return []
    text = f"What the file links is not in its library any more: {some(case.facts.missing_blocks)}."
    return [error("missing_linked", text, "Open the file, relink or remove what is missing (Outliner → Blender File), and save.")]


def sequences(case: Case, spans: Ranges) -> list[Finding]:
    """Only where a frame to render lacks its picture."""
    lacking = tuple(_gap(gap) for gap in case.facts.gaps if any(_meet(lost, span) for lost in gap.frames for span in spans))
    if not lacking:
        return []
    text = f"Image sequences have no picture for some of the frames: {some(lacking)}."
    return [error("missing_sequence", text, "Add the pictures that are missing, or render only frames that have theirs.")]


def _gap(gap: SequenceGap) -> str:
    frames = ", ".join(f"{one.first}–{one.last}" if one.last > one.first else str(one.first) for one in gap.frames[:3])
    return f"{gap.name[:80]} at {frames}{' …' if len(gap.frames) > 3 else ''}"


def _meet(lost: FrameRange, span: FrameRange) -> bool:
    """Whether a frame of the span lies in a range without steps."""
    behind = max(0, lost.first - span.first)
    first = span.first + -(-behind // span.step) * span.step
    return first <= min(lost.last, span.last)
