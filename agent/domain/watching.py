"""What a container that does not end is ended for: too slow, silent and idle, or done and still there.

Time in which the machine slept or gave the container next to no processor is not the scene's: a frame is only too slow when it
really computes.
"""

from dataclasses import replace

from agent.domain.attempt import Attempt, Ending, completed, failed, released
from contracts.events import Fault, Release

IDLE_SECONDS = 120
"""A container that neither speaks nor computes for so long hangs."""
LEAVING_SECONDS = 10
"""What is done may take so long to end."""
GAP_SECONDS = 20
"""The agent looks several times a second. When it has not for so long, the machine slept, or did nothing else either."""
STARVED_SHARE = 0.2
"""Of one core: a frame that got less on average was kept from computing. Blender's slowest parts use one core fully."""
LESS_WAITING = "The frame takes no processor time and does not end. Render it on your own machine and see what it waits for."
LESS_WORK = "The frame takes far longer than its neighbours. Use fewer samples or a lower resolution."


def overdue(attempt: Attempt, now: float) -> Ending | None:
    """Why it must be ended now."""
    assignment = attempt.assignment
    budget = assignment.budget_seconds
    is_used_up = budget is not None and attempt.container_since is not None and now - attempt.container_since > budget
    if attempt.is_done():
        return completed() if is_used_up or now - attempt.frame_since > LEAVING_SECONDS else None
    frame = attempt.at_work()
    if is_used_up:
        return failed(Fault.TIME, f"the time budget of {budget} s is used up", frame)
    if now - attempt.alive_at > IDLE_SECONDS:
        text = f"neither a word nor CPU use for {IDLE_SECONDS} s: it hangs"
        return replace(failed(Fault.MACHINE, text, frame), advice="If it happens again, restart Docker or this machine.")
    if now - attempt.frame_since > assignment.max_seconds_per_frame:
        return _too_slow(attempt, now - attempt.frame_since, frame)
    return None


def _too_slow(attempt: Attempt, seconds: float, frame: int | None) -> Ending:
    used = (attempt.cpu_micros - attempt.cpu_at_frame) / 1e6
    limit = attempt.assignment.max_seconds_per_frame
    is_seen = attempt.cpu_seen_at is not None and attempt.cpu_seen_at - attempt.frame_since > seconds / 2
    is_known = is_seen and not attempt.assignment.gpu  # a GPU's frame needs little of the processor
    wanted = min(1.0, attempt.cpus) * seconds
    if is_known and used < STARVED_SHARE * wanted:
        if _had_room(attempt, wanted):
            text = f"it computed {used:.0f} s in {seconds:.0f} s on a machine with cores to spare: it waits for something"
            return replace(failed(Fault.TIME, text, frame), advice=LESS_WAITING)
        text = f"this machine gave the frame {used:.0f} s of processor time in {seconds:.0f} s: other programs had it"
        return replace(failed(Fault.MACHINE, text, frame), advice="Lend fewer cores, or pause while other programs work.")
    return replace(failed(Fault.TIME, f"took longer than {limit} s", frame), advice=LESS_WORK)


def _had_room(attempt: Attempt, wanted: float) -> bool:
    """Whether the machine would have let it compute. A scene that only waits must not pass for a machine that gives nothing."""
    before, after = attempt.room_at_frame, attempt.room
    if before is None or after is None:
        return False
    idle, held_back = after.idle_seconds - before.idle_seconds, after.held_back_seconds - before.held_back_seconds
    return idle > wanted / 2 > held_back


def asleep(attempt: Attempt, now: float) -> float:
    """Seconds for which this agent did not even look, 0 for what is usual."""
    gap = 0.0 if attempt.looked_at is None else now - attempt.looked_at
    return gap if gap > GAP_SECONDS else 0.0


def slept(attempt: Attempt, gap: float, now: float) -> tuple[Attempt, Ending | None]:
    """The sleep does not count as the frame's time; after one that is longer than the lease the attempt is somebody else's. What
    was heard after waking and before this look began then: no clock runs ahead of now."""
    since = attempt.container_since
    moved = replace(
        attempt,
        frame_since=min(now, attempt.frame_since + gap),
        alive_at=min(now, attempt.alive_at + gap),
        room=None,
        room_at_frame=None,
        container_since=None if since is None else min(now, since + gap),
    )
    if gap <= attempt.assignment.lease_seconds:
        return moved, None
    return moved, released(Release.STOPPED, f"this machine was asleep for {gap:.0f} s, longer than its lease lasts")


def paused(why: Ending) -> Ending:
    """The container about to be ended stands still by somebody else's order: that is why, whatever it looked like."""
    if why.fault in (Fault.MACHINE, Fault.TIME):
        return released(Release.STOPPED, "the container was paused from outside")
    return why
