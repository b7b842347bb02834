"""How finished frames travel: told in groups, asked for again with patience, completed in groups."""

from collections.abc import Callable
from dataclasses import replace

from agent.domain import signals as s
from agent.domain.attempt import Attempt, HeldFrame, Phase, Standing
from contracts.events import CompletedFrame, FramesCompleted, FramesRendered
from contracts.events.frames import MAX_FRAMES_PER_EVENT

COLLECT_SECONDS = 1.0
ASK_AGAIN_SECONDS = (10.0, 20.0, 40.0, 60.0)
"""A URL not granted by then is asked for again: the grant is transient and may be lost."""
MISSED_SECONDS = (1.0, 2.0, 5.0, 15.0, 60.0)
"""After a URL that would not do."""


def standing(attempt: Attempt, frame: int, to: Standing) -> Attempt:
    """The attempt with this frame in another standing; a frame it does not hold changes nothing."""
    return _changed(attempt, {frame}, lambda held: replace(held, standing=to))


def missed(attempt: Attempt, frame: int, now: float) -> Attempt:
    """The attempt with this frame's URL to be asked for again, after a pause that grows."""
    return _changed(
        attempt, {frame}, lambda held: replace(held, standing=Standing.TOLD, ask_at=now + _step(MISSED_SECONDS, held.asked))
    )


def _changed(attempt: Attempt, frames: set[int], change: Callable[[HeldFrame], HeldFrame]) -> Attempt:
    return replace(attempt, frames=tuple(change(held) if held.frame in frames else held for held in attempt.frames))


def _step(steps: tuple[float, ...], asked: int) -> float:
    return steps[min(max(asked, 1), len(steps)) - 1]


def deliver(attempt: Attempt, now: float) -> s.Decision:
    """Tells what is due now of what was rendered and of what lies in the store."""
    attempt = _ask_again(attempt, now)
    attempt, rendered = _tell_rendered(attempt, now)
    attempt, completed = _tell_completed(attempt, now)
    return attempt, (*rendered, *completed)


def _ask_again(attempt: Attempt, now: float) -> Attempt:
    late = {held.frame for held in attempt.frames if held.standing is Standing.TOLD and now >= held.ask_at}
    return _changed(attempt, late, lambda held: replace(held, standing=Standing.RENDERED)) if late else attempt


def _tell_rendered(attempt: Attempt, now: float) -> s.Decision:
    waiting = [held for held in attempt.frames if held.standing is Standing.RENDERED]
    more_to_come = attempt.phase is Phase.RENDERING and bool(attempt.to_render())
    if not _due(waiting, more_to_come, now - attempt.told_rendered_at):
        return attempt, ()
    told = _changed(attempt, {held.frame for held in waiting}, lambda held: _asked(held, now))
    grant = attempt.assignment.grant
    events = [FramesRendered(grant=grant, frames=tuple(held.picture for held in group)) for group in _groups(waiting)]
    return replace(told, told_rendered_at=now), tuple(s.Tell(event) for event in events)


def _asked(held: HeldFrame, now: float) -> HeldFrame:
    asked = held.asked + 1
    return replace(held, standing=Standing.TOLD, asked=asked, ask_at=now + _step(ASK_AGAIN_SECONDS, asked))


def _tell_completed(attempt: Attempt, now: float) -> s.Decision:
    waiting = [held for held in attempt.frames if held.standing is Standing.UPLOADED]
    rest = (Standing.UPLOADED, Standing.COMPLETED)
    more_to_come = bool(attempt.to_render()) if attempt.phase is Phase.RENDERING else False
    more_to_come = more_to_come or any(held.standing not in rest for held in attempt.frames)
    if not _due(waiting, more_to_come, now - attempt.told_completed_at):
        return attempt, ()
    told = _changed(attempt, {held.frame for held in waiting}, lambda held: replace(held, standing=Standing.COMPLETED))
    grant = attempt.assignment.grant
    events = [FramesCompleted(grant=grant, frames=tuple(_done(held) for held in group)) for group in _groups(waiting)]
    return replace(told, told_completed_at=now), tuple(s.Tell(event) for event in events)


def _done(held: HeldFrame) -> CompletedFrame:
    return CompletedFrame(frame=held.frame, file_sha256=held.picture.file_sha256, seconds=held.picture.seconds)


def _due(waiting: list[HeldFrame], more_to_come: bool, quiet: float) -> bool:
    """The first is told at once, those close behind it are collected, the last ones wait for nobody."""
    return bool(waiting) and (not more_to_come or quiet >= COLLECT_SECONDS or len(waiting) >= MAX_FRAMES_PER_EVENT)


def _groups(waiting: list[HeldFrame]) -> list[list[HeldFrame]]:
    return [waiting[at : at + MAX_FRAMES_PER_EVENT] for at in range(0, len(waiting), MAX_FRAMES_PER_EVENT)]
