"""Checks of how many frames there are, how large, and what they take: from what was asked to what will be rendered."""

from contracts.changes import Change
from contracts.values import LEAST_SIDE, MAX_JOB_FRAMES, Finding, FrameRange, Picture, Ranges, count
from services.scheduler.domain.looking import Case, error, info, warning
from services.scheduler.domain.picture import MAX_SIDE, picture, sides
from services.scheduler.domain.policy import GIB, MIB
from services.scheduler.domain.spans import normalised

DRIVER_LAST_FRAME = 999_999
"""The render driver names files with six digits."""
MOST_RANGES = 10_000
BIG_SIDE = 8_192
PACKED_BYTES = 256 * MIB
BLENDERS_OWN_RANGE = (1, 250)

LINE_BYTES_PER_SECOND = 2_500_000
"""20 Mbit/s: a lender's ordinary line."""
FRAME_SECONDS, SAMPLE_SECONDS = 0.1, 2e-6
"""Of a light frame, and per pixel and sample: measured on simple scenes, so that no scene takes less."""
HEAVY_BUNDLE = 100 * MIB


def frames(case: Case) -> tuple[Ranges, list[Finding]]:
    facts = case.facts
    if not case.asked and facts.frame_end < facts.frame_start:
        fix = "Set Output Properties → Frame Range, or name the frames when you submit."
        return (), [error("no_frames", f"The frame range {facts.frame_start}–{facts.frame_end} is empty.", fix)]
    spans = case.asked or (FrameRange(first=facts.frame_start, last=facts.frame_end, step=facts.frame_step),)
    if count(spans) > MAX_JOB_FRAMES:
        text = f"{count(spans):,} frames are more than a job may have ({MAX_JOB_FRAMES:,})."
        return (), [error("too_many_frames", text, "Name the frames when you submit, or split the job.")]
    spans = normalised(spans)
    if len(spans) > MOST_RANGES:
        return (), [error("scattered_frames", "The frame list is too scattered.", "Split it into several jobs.")]
    if max(abs(spans[0].first), abs(spans[-1].last)) > DRIVER_LAST_FRAME:
        return (), [error("frame_number", "Frame numbers beyond ±999,999 cannot be rendered.", "Move the animation.")]
    return spans, _outside(case, spans) if case.asked else _suspicious(case)


def _outside(case: Case, spans: Ranges) -> list[Finding]:
    start, end = case.facts.frame_start, case.facts.frame_end
    if spans[0].first >= start and max(span.last for span in spans) <= end:
        return []
    return [info("outside_range", f"Some frames lie outside the file's own range {start}–{end}; they are rendered as asked.")]


def _suspicious(case: Case) -> list[Finding]:
    """The file's own range, where nobody seems to have looked at it."""
    facts, found = case.facts, []
    start, end = facts.frame_start, facts.frame_end
    if (start, end) == BLENDERS_OWN_RANGE and facts.last_key is not None and facts.last_key != end:
        text = f"The frame range is Blender's default {start}–{end}, but the last key lies at frame {facts.last_key}."
        found.append(warning("frame_range", text, f"If you mean the animation: submit with --frames {start}-{facts.last_key}."))
    if start == end:
        found.append(info("one_frame", f"The frame range is one frame, {start}.", "Name the frames if you mean an animation."))
    if facts.frame_step > 1:
        text = f"The file renders only every {facts.frame_step}th frame."
        found.append(info("frame_step", text, f"For all of them submit with --frames {start}-{end}."))
    return found


def size(case: Case) -> tuple[Picture | None, list[Finding]]:
    asked, facts = case.settings, case.facts
    width, height = sides(facts, asked)
    if min(asked.width or facts.width, asked.height or facts.height) < LEAST_SIDE:
        text = f"Blender takes no width or height of fewer than {LEAST_SIDE} pixels."
        return None, [error("resolution", text, f"Ask for at least {LEAST_SIDE}; a percentage makes smaller pictures of that.")]
    if max(width, height) > MAX_SIDE:
        text = f"Pictures of {width} × {height} pixels are larger than the farm's limit of {MAX_SIDE:,} a side."
        return None, [error("resolution", text, "Lower the resolution or its percentage.")]
    found = _percentage(case, width, height)
    if max(width, height) > BIG_SIDE:
        text = f"Pictures of {width} × {height} pixels are large and slow."
        found.append(warning("big_pictures", text, "Lower the resolution with --percentage if you do not need it."))
    return picture(facts, asked), found


def _percentage(case: Case, width: int, height: int) -> list[Finding]:
    asked = case.settings
    if case.facts.percentage == 100 or asked.percentage is not None or case.made(Change.FULL_RESOLUTION):
        return []
    full = f"{asked.width or case.facts.width} × {asked.height or case.facts.height}"
    text = f"The file's resolution is set to {case.facts.percentage} %: pictures will be {width} × {height}, not {full}."
    return [warning("percentage", text, "If you mean the full size: render at 100 %.", Change.FULL_RESOLUTION)]


def memory(case: Case, need: int) -> list[Finding]:
    if need <= case.largest_agent or not case.largest_agent:
        return []
    there = case.largest_agent / GIB
    text = f"One frame needs about {need / GIB:.1f} GB of memory; the largest agent online lends {there:.1f} GB."
    return [error("memory", text, "Use smaller textures, less subdivision or a lower resolution.")]


def weight(case: Case, spans: Ranges, made: Picture | None) -> list[Finding]:
    """What every machine has to download, and whether the work is worth it."""
    found = []
    if case.facts.packed_bytes > PACKED_BYTES:
        text = f"{case.facts.packed_bytes / MIB:,.0f} MB are packed into the file, and every machine downloads them."
        found.append(warning("packed", text, "Remove what is not used: File → Clean Up → Purge Unused Data."))
    download = case.bundle_bytes / LINE_BYTES_PER_SECOND
    if made and spans and case.bundle_bytes > HEAVY_BUNDLE and download > count(spans) * _least_seconds(case, made):
        text = f"Downloading {case.bundle_bytes / MIB:,.0f} MB takes a machine longer than rendering every frame of the job."
        found.append(warning("more_bundle_than_work", text, "Put more frames into one job, or leave out what they do not need."))
    return found


def _least_seconds(case: Case, made: Picture) -> float:
    samples = case.settings.samples or case.facts.samples
    return FRAME_SECONDS + SAMPLE_SECONDS * samples * made.width * made.height
