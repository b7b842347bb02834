"""The machine of an attempt: (attempt, what happened, now) → (attempt, what to do). attempt.py has its theory.

Whatever happens, `_settle` looks at the whole afterwards: what is to be told goes out in groups, at once when nothing was said
for a second or nothing more is coming; an attempt whose frames are all delivered ends.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from agent.domain import heard
from agent.domain import signals as s
from agent.domain.attempt import Attempt, End, Ending, HeldFrame, Phase, Standing, completed, move, released, withdrawn
from agent.domain.delivery import deliver, missed, standing
from agent.domain.freezing import freeze, start, thaw
from agent.domain.signals import Action, Decision, Input
from agent.domain.verdicts import verdict
from agent.domain.watching import asleep, overdue, paused, slept
from contracts.events import ChunkAssigned, ChunkCompleted, ChunkFailed, ChunkReleased, Event, Fault, Release, RenderedFrame
from contracts.values import ranges

LAST_DELIVERY_SECONDS = 30
"""An attempt that failed or is given back waits this long for its finished frames before it says so: they need not be
rendered again elsewhere."""
LINGER_SECONDS = 600
KILL_AGAIN_SECONDS = 5
"""A container that is to be ended and is still there is asked for again: the engine may have refused."""
Held = Iterable[tuple[RenderedFrame, Standing]]


def begin(assignment: ChunkAssigned, now: float, ends_at: float) -> Decision:
    """A fresh attempt and its first step."""
    return Attempt(assignment=assignment, ends_at=ends_at, since=now), (s.FetchBundle(),)


def take_up(assignment: ChunkAssigned, frames: Held, ended: bool, now: float, ends_at: float, surveyed: bool = False) -> Attempt:
    """An attempt of a former run: nothing of it renders any more, what is finished and was not delivered is told again."""
    again = {Standing.TOLD: Standing.RENDERED, Standing.UPLOADING: Standing.RENDERED}
    held = tuple(HeldFrame(picture, again.get(standing, standing)) for picture, standing in frames)
    story = ("taken up after a restart",)
    attempt = Attempt(assignment=assignment, ends_at=ends_at, since=now, frames=held, surveyed=surveyed, story=story)
    if ended:
        return replace(attempt, phase=Phase.ENDED, ending=withdrawn("ended in a former run"))
    ending = completed() if attempt.is_done() else released(Release.STOPPED, "the agent was restarted")
    return replace(attempt, phase=Phase.DELIVERING, ending=ending)


def decide(attempt: Attempt, happened: Input, now: float) -> Decision:
    """What does not concern the phase the attempt is in (a late word of a container, a URL nobody needs) changes nothing."""
    after, actions = _ON[type(happened)](attempt, happened, now)
    settled, more = _settle(after, now)
    return settled, (*actions, *more)


def unsaid(attempt: Attempt, happened: Input, now: float) -> Decision:
    """As `decide`, with all telling left for later: what there is no room to write down now."""
    return _ON[type(happened)](attempt, happened, now)


# --- the bundle and the container


def _bundle_fetched(attempt: Attempt, _: s.BundleFetched, now: float) -> Decision:
    if attempt.phase is not Phase.FETCHING:
        return attempt, ()
    return start(attempt, now)


def _bundle_lost(attempt: Attempt, lost: s.BundleLost, now: float) -> Decision:
    return _over(attempt, lost.ending, now) if attempt.phase is Phase.FETCHING else (attempt, ())


def _container_started(attempt: Attempt, what: s.ContainerStarted, now: float) -> Decision:
    started = replace(attempt, container_since=now, frame_since=now, alive_at=now, cpus=what.cpus)
    if attempt.phase is not Phase.RENDERING or attempt.stopping:
        return _asked_to_end(started, now)
    return started, () if attempt.frozen_since is None else (s.FreezeContainer(),)


def _misbehaved(attempt: Attempt, what: s.ContainerMisbehaved, now: float) -> Decision:
    return _kill(attempt, what.ending, now)


def _exited(attempt: Attempt, exited: s.ContainerExited, now: float) -> Decision:
    if attempt.phase is not Phase.RENDERING:
        return attempt, ()
    why = attempt.stopping or verdict(heard.evidence(attempt, exited))
    return _over(attempt, replace(why, log_tail=exited.log_tail), now)


def _stood_still(attempt: Attempt, _: s.StoodStill, now: float) -> Decision:
    return replace(attempt, stopping=attempt.stopping and paused(attempt.stopping)), ()


def _container_lost(attempt: Attempt, lost: s.ContainerLost, now: float) -> Decision:
    if attempt.phase is not Phase.RENDERING:
        return attempt, ()
    return _over(attempt, attempt.stopping or lost.ending, now)


def _kill(attempt: Attempt, why: Ending, now: float) -> Decision:
    """Its exit will end the attempt; the first reason stands."""
    if attempt.phase is not Phase.RENDERING or attempt.stopping:
        return attempt, ()
    return _asked_to_end(replace(attempt, stopping=why), now)


def _asked_to_end(attempt: Attempt, now: float) -> Decision:
    return replace(attempt, kill_asked_at=now), (s.KillContainer(),)


def _over(attempt: Attempt, ending: Ending, now: float) -> Decision:
    """Nothing renders any more. What is finished is still delivered."""
    return replace(move(attempt, Phase.DELIVERING, ending.text or ending.end), ending=ending, since=now, frozen_since=None), ()


# --- orders


def _withdrawn(attempt: Attempt, order: s.Withdrawn, now: float) -> Decision:
    why = withdrawn(order.text)
    if attempt.phase is Phase.FETCHING:
        over, _ = _over(attempt, why, now)
        return over, (s.DropBundle(),)
    if attempt.phase is Phase.RENDERING:
        return _asked_to_end(replace(attempt, stopping=why), now)
    return (replace(attempt, ending=why), ()) if attempt.phase is Phase.DELIVERING else (attempt, ())


def _stopping(attempt: Attempt, _: s.Stopping, now: float) -> Decision:
    """Said at once: the process has seconds to live. Frames not delivered are told again by its next run, but who says that a
    chunk is complete whose frames nobody has is blamed for it."""
    if attempt.phase is Phase.ENDED:
        return attempt, ()
    actions: list[Action] = [s.KillContainer()] if attempt.phase is Phase.RENDERING else [s.DropBundle()]
    ending = attempt.ending
    if ending is None or (ending.end is End.COMPLETED and not attempt.delivered()):
        ending = released(Release.STOPPED, "the agent is shutting down")
    ended = replace(move(attempt, Phase.ENDED, "agent stops"), ending=ending, since=now)
    return ended, (*actions, *_said(ended))


def _give_back(attempt: Attempt, order: s.GiveBack, now: float) -> Decision:
    why = released(Release.STOPPED, order.text)
    if attempt.phase is Phase.FETCHING:
        over, _ = _over(attempt, why, now)
        return over, (s.DropBundle(),)
    return _kill(attempt, why, now)


def _tick(attempt: Attempt, _: s.Tick, now: float) -> Decision:
    gap = asleep(attempt, now)
    attempt = replace(attempt, looked_at=now)
    if now >= attempt.ends_at and attempt.phase is not Phase.ENDED and not _is_withdrawn(attempt):
        return _withdrawn(attempt, s.Withdrawn("the grant has ended"), now)
    if attempt.phase is not Phase.RENDERING or attempt.container_since is None:
        return attempt, ()
    if attempt.stopping:
        return _asked_to_end(attempt, now) if now - attempt.kill_asked_at >= KILL_AGAIN_SECONDS else (attempt, ())
    attempt, why = slept(attempt, gap, now) if gap else (attempt, None)
    if why is None and attempt.frozen_since is None:
        why = overdue(attempt, now)
    return _kill(attempt, why, now) if why else (attempt, ())


def _is_withdrawn(attempt: Attempt) -> bool:
    why = attempt.stopping or attempt.ending
    return why is not None and why.end is End.WITHDRAWN


# --- delivery


def _uploads_came(attempt: Attempt, came: s.UploadsCame, _: float) -> Decision:
    """A URL for a completed frame means that the store has lost it."""
    actions: list[Action] = []
    for upload in came.uploads:
        held = attempt.held(upload.frame)
        if held and held.standing is not Standing.UPLOADING and upload.bytes == held.picture.bytes:
            attempt = standing(attempt, upload.frame, Standing.UPLOADING)
            actions.append(s.Upload(upload))
    return attempt, tuple(actions)


def _uploaded(attempt: Attempt, what: s.Uploaded, _: float) -> Decision:
    return standing(attempt, what.frame, Standing.UPLOADED) if _is_uploading(attempt, what.frame) else attempt, ()


def _upload_missed(attempt: Attempt, what: s.UploadMissed, now: float) -> Decision:
    return missed(attempt, what.frame, now) if _is_uploading(attempt, what.frame) else attempt, ()


def _is_uploading(attempt: Attempt, frame: int) -> bool:
    held = attempt.held(frame)
    return held is not None and held.standing is Standing.UPLOADING


def _settle(attempt: Attempt, now: float) -> Decision:
    attempt, told = deliver(attempt, now)
    if attempt.phase is Phase.DELIVERING and _may_end(attempt, now):
        ended = replace(move(attempt, Phase.ENDED, "said"), since=now)
        return ended, (*told, *_said(ended))
    if attempt.phase is Phase.ENDED and _may_go(attempt, now):
        return attempt, (*told, s.Forget())
    return attempt, told


def _may_end(attempt: Attempt, now: float) -> bool:
    end = attempt.ending.end if attempt.ending else None
    patience = {End.COMPLETED: float("inf"), End.WITHDRAWN: 0.0}.get(end or End.FAILED, float(LAST_DELIVERY_SECONDS))
    return attempt.delivered() or now - attempt.since >= patience


def _may_go(attempt: Attempt, now: float) -> bool:
    return now >= attempt.ends_at or (attempt.delivered() and now - attempt.since >= LINGER_SECONDS)


def _said(attempt: Attempt) -> tuple[Action, ...]:
    """What the scheduler is told at the end; ChunkCompleted implies readiness for the next."""
    ending = attempt.ending or withdrawn("")
    event = _last_word(attempt, ending)
    free = s.Freed(ready=ending.end is not End.COMPLETED)
    return (s.Tell(event), free) if event else (free,)


def _last_word(attempt: Attempt, ending: Ending) -> Event | None:
    grant = attempt.assignment.grant
    ids: dict[str, Any] = {"job": grant.job, "chunk": grant.chunk, "attempt": grant.attempt}
    if ending.end is End.COMPLETED:
        return ChunkCompleted(**ids)
    ids["delivered"] = ranges(held.frame for held in attempt.frames if held.standing is Standing.COMPLETED)
    if ending.release is not None:
        return ChunkReleased(**ids, reason=ending.release, text=ending.text[:2000])
    if ending.fault is not None:
        said = {"text": ending.text[:2000], "log_tail": ending.log_tail[-8000:], "cpu_micros": attempt.cpu_micros}
        hint = "" if ending.fault is Fault.MACHINE else ending.advice  # the lender's own business
        return ChunkFailed(**ids, fault=ending.fault, frame=ending.frame, hint=hint, **said)
    return None


_ON: dict[type[Any], Callable[[Attempt, Any, float], Decision]] = {
    s.BundleFetched: _bundle_fetched,
    s.BundleLost: _bundle_lost,
    s.ContainerStarted: _container_started,
    s.Greeted: heard.greeted,
    s.SceneOpened: heard.scene_opened,
    s.Progressed: heard.progressed,
    s.CpuSeen: heard.cpu_seen,
    s.FrameTaken: heard.frame_taken,
    s.Probed: heard.probed,
    s.ContainerMisbehaved: _misbehaved,
    s.Complained: heard.complained,
    s.Surveyed: heard.surveyed,
    s.ContainerExited: _exited,
    s.StoodStill: _stood_still,
    s.ContainerLost: _container_lost,
    s.UploadsCame: _uploads_came,
    s.Uploaded: _uploaded,
    s.UploadMissed: _upload_missed,
    s.Withdrawn: _withdrawn,
    s.Stopping: _stopping,
    s.Freeze: freeze,
    s.Thaw: thaw,
    s.GiveBack: _give_back,
    s.Tick: _tick,
}
