"""What a container says and uses, kept on its attempt; and what is known of it when it has ended."""

from dataclasses import replace

from agent.domain import signals as s
from agent.domain.attempt import Attempt, HeldFrame, Standing
from agent.domain.evidence import Complaint, Evidence, Stage
from contracts.values import Kind

BUSY_MICROS = 200_000
"""CPU time since the last look that counts as life."""


def greeted(attempt: Attempt, _: s.Greeted, now: float) -> s.Decision:
    return replace(attempt, greeted=True, alive_at=now), ()


def scene_opened(attempt: Attempt, _: s.SceneOpened, now: float) -> s.Decision:
    """The frame's clock starts once: a container that says it again and again would never be too slow."""
    if attempt.opened:
        return replace(attempt, alive_at=now), ()
    return replace(_next_frame(attempt, now), opened=True), ()


def progressed(attempt: Attempt, said: s.Progressed, now: float) -> s.Decision:
    done, total = said.samples or (attempt.sample, attempt.samples)
    told = replace(attempt, progress=said.text, sample=done, samples=total, alive_at=now)
    return (replace(told, remaining=said.remaining) if said.remaining is not None else told), ()


def cpu_seen(attempt: Attempt, seen: s.CpuSeen, now: float) -> s.Decision:
    attempt = replace(attempt, cpu_seen_at=now, room=seen.room or attempt.room, room_at_frame=attempt.room_at_frame or seen.room)
    if seen.micros - attempt.cpu_micros < BUSY_MICROS:
        return attempt, ()
    return replace(attempt, cpu_micros=seen.micros, alive_at=now), ()


def frame_taken(attempt: Attempt, taken: s.FrameTaken, now: float) -> s.Decision:
    if attempt.held(taken.picture.frame) is not None:
        return attempt, ()
    held = HeldFrame(taken.picture, Standing.RENDERED)
    return replace(_next_frame(attempt, now), frames=(*attempt.frames, held), progress=""), ()


def probed(attempt: Attempt, probed: s.Probed, now: float) -> s.Decision:
    done = (*attempt.probed, probed.measured.frame)
    return replace(_next_frame(attempt, now), probed=done), (s.Tell(probed.measured),)


def surveyed(attempt: Attempt, surveyed: s.Surveyed, now: float) -> s.Decision:
    """The first report counts; another would be told too, and put off the end."""
    if attempt.surveyed:
        return attempt, ()
    return replace(_next_frame(attempt, now), surveyed=True), (s.Tell(surveyed.report),)


def complained(attempt: Attempt, said: s.Complained, now: float) -> s.Decision:
    return replace(attempt, complaint=Complaint(said.code, said.frame, said.text), alive_at=now), ()


def _next_frame(attempt: Attempt, now: float) -> Attempt:
    fresh = replace(attempt, sample=None, samples=None, remaining=None)
    return replace(fresh, frame_since=now, alive_at=now, cpu_at_frame=attempt.cpu_micros, room_at_frame=attempt.room)


def evidence(attempt: Attempt, exited: s.ContainerExited) -> Evidence:
    """Of a container that has ended. A survey that was read counts as done, however its process ended."""
    inspects = attempt.assignment.grant.kind is Kind.INSPECT
    stage = Stage.RENDERING if attempt.opened else Stage.OPENING if attempt.greeted or inspects else Stage.LOADING
    return Evidence(
        code=exited.code,
        out_of_memory=exited.out_of_memory,
        memory_bytes=attempt.assignment.memory_bytes,
        done=attempt.is_done(),
        frame=attempt.at_work(),
        stage=stage,
        complaint=attempt.complaint,
        log=exited.log_tail,
        memory_limit_bytes=exited.memory_limit_bytes,
        host=exited.host,
    )
