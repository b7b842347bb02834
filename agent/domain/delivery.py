"""How finished frames travel: told in groups, asked for again with patience, completed in groups."""

from dataclasses import replace

from agent.domain import signals as s
from agent.domain.attempt import Attempt, HeldFrame, Phase, Standing
from contracts.events import CompletedFrame, FramesCompleted, FramesRendered
from contracts.events.frames import MAX_FRAMES_PER_EVENT

COLLECT_SECONDS = 1.0
ASK_AGAIN_SECONDS = (10.0, 20.0, 40.0, 60.0)
"""A URL not granted by then is asked for again: the grant is transient and may be lost."""


def standing(attempt: Attempt, frame: int, to: Standing, now: float) -> Attempt:
    """The attempt with this frame in another standing; a frame it does not hold changes nothing."""
    changed = tuple(replace(held, standing=to, since=now) if held.frame == frame else held for held in attempt.frames)
    return replace(attempt, frames=changed)


def deliver(attempt: Attempt, now: float) -> s.Decision:
    """Tells what is due now of what was rendered and of what lies in the store."""
    attempt = _ask_again(attempt, now)
    attempt, rendered = _tell_rendered(attempt, now)
    attempt, completed = _tell_completed(attempt, now)
    return attempt, (*rendered, *completed)


def _ask_again(attempt: Attempt, now: float) -> Attempt:
    return replace(attempt, frames=tuple(_impatient(held, now) for held in attempt.frames))


def _impatient(held: HeldFrame, now: float) -> HeldFrame:
    patience = ASK_AGAIN_SECONDS[min(held.asked, len(ASK_AGAIN_SECONDS)) - 1] if held.asked else 0.0
    if held.standing is Standing.TOLD and now - held.since >= patience:
        return replace(held, standing=Standing.RENDERED, since=now)
    return held


def _tell_rendered(attempt: Attempt, now: float) -> s.Decision:
    waiting = [held for held in attempt.frames if held.standing is Standing.RENDERED]
    more_to_come = attempt.phase is Phase.RENDERING and bool(attempt.to_render())
    if not _due(waiting, more_to_come, now - attempt.told_rendered_at):
        return attempt, ()
    told = {held.frame for held in waiting}
    frames = tuple(
        replace(held, standing=Standing.TOLD, since=now, asked=held.asked + 1) if held.frame in told else held
        for held in attempt.frames
    )
    grant = attempt.assignment.grant
    events = [FramesRendered(grant=grant, frames=tuple(held.picture for held in group)) for group in _groups(waiting)]
    return replace(attempt, frames=frames, told_rendered_at=now), tuple(s.Tell(event) for event in events)


def _tell_completed(attempt: Attempt, now: float) -> s.Decision:
    waiting = [held for held in attempt.frames if held.standing is Standing.UPLOADED]
    rest = (Standing.UPLOADED, Standing.COMPLETED)
    more_to_come = bool(attempt.to_render()) if attempt.phase is Phase.RENDERING else False
    more_to_come = more_to_come or any(held.standing not in rest for held in attempt.frames)
    if not _due(waiting, more_to_come, now - attempt.told_completed_at):
        return attempt, ()
    told = {held.frame for held in waiting}
    frames = tuple(
        replace(held, standing=Standing.COMPLETED, since=now) if held.frame in told else held for held in attempt.frames
    )
    grant = attempt.assignment.grant
    events = [FramesCompleted(grant=grant, frames=tuple(_done(held) for held in group)) for group in _groups(waiting)]
    return replace(attempt, frames=frames, told_completed_at=now), tuple(s.Tell(event) for event in events)


def _done(held: HeldFrame) -> CompletedFrame:
    return CompletedFrame(frame=held.frame, file_sha256=held.picture.file_sha256, seconds=held.picture.seconds)


def _due(waiting: list[HeldFrame], more_to_come: bool, quiet: float) -> bool:
    """The first is told at once, those close behind it are collected, the last ones wait for nobody."""
    return bool(waiting) and (not more_to_come or quiet >= COLLECT_SECONDS or len(waiting) >= MAX_FRAMES_PER_EVENT)


def _groups(waiting: list[HeldFrame]) -> list[list[HeldFrame]]:
    return [waiting[at : at + MAX_FRAMES_PER_EVENT] for at in range(0, len(waiting), MAX_FRAMES_PER_EVENT)]
