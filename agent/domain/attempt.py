"""One attempt as the agent sees it: its phase, its frames, what was heard and what may be done.

Theory. An attempt fetches its bundle, renders in one container, delivers what it has, and ends. Frames finish while others still
render, so each frame has a standing of its own, and what ends the attempt (done, failed, given back, taken away) never ends the
delivery of frames that are finished: they count. An ended attempt lingers with its pictures, for the store may lose one.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from agent.domain.evidence import Complaint, Room
from contracts.events import AttemptInHand, ChunkAssigned, Fault, Release, RenderedFrame
from contracts.values import Kind, frames

FROZEN = "paused by its lender"
"""What others are told of a frozen attempt; why is nobody else's business."""


class Phase(StrEnum):
    FETCHING = "fetching"
    """The bundle is looked for in the cache, or asked for and downloaded."""
    RENDERING = "rendering"
    """There is a container, or one is about to be."""
    DELIVERING = "delivering"
    """Nothing renders any more; finished frames are on their way."""
    ENDED = "ended"
    """The scheduler was told; pictures are kept for a while."""


MOVES = MappingProxyType(
    {
        Phase.FETCHING: (Phase.RENDERING, Phase.DELIVERING, Phase.ENDED),
        Phase.RENDERING: (Phase.DELIVERING, Phase.ENDED),
        Phase.DELIVERING: (Phase.ENDED,),
        Phase.ENDED: (),
    }
)


class Standing(StrEnum):
    """Of one finished frame."""

    RENDERED = "rendered"
    """The picture is in our spool and nobody knows yet (or must be told again)."""
    TOLD = "told"
    """`FramesRendered` was said; an upload URL is awaited."""
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    """It lies in the store and `FramesCompleted` is still to be said."""
    COMPLETED = "completed"


@dataclass(frozen=True)
class HeldFrame:
    """`asked` counts how often a URL was asked for; when TOLD, it is asked for again at `ask_at`."""

    picture: RenderedFrame
    standing: Standing
    asked: int = 0
    ask_at: float = 0.0

    @property
    def frame(self) -> int:
        return self.picture.frame


class End(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"
    """Voided, cancelled or out of time: the scheduler knows, nothing is said."""


@dataclass(frozen=True)
class Ending:
    """Why an attempt ends and what the scheduler is told about it."""

    end: End
    text: str = ""
    fault: Fault | None = None
    release: Release | None = None
    frame: int | None = None
    log_tail: str = ""
    advice: str = ""
    """What to do next: for the renter where the scene is at fault, else for the lender."""


def completed() -> Ending:
    return Ending(End.COMPLETED)


def failed(fault: Fault, text: str, frame: int | None = None) -> Ending:
    return Ending(End.FAILED, text, fault=fault, frame=frame)


def released(reason: Release, text: str) -> Ending:
    return Ending(End.RELEASED, text, release=reason)


def withdrawn(text: str) -> Ending:
    return Ending(End.WITHDRAWN, text)


class IllegalMove(Exception):
    """Our own mistake: the machine was asked for a move its table does not have. The text tells the story so far."""


@dataclass(frozen=True)
class Attempt:
    """`ends_at`: when the grant ends. `ending` is set once it is certain; `stopping` is why the container is being killed."""

    assignment: ChunkAssigned
    ends_at: float
    since: float
    phase: Phase = Phase.FETCHING
    frames: tuple[HeldFrame, ...] = ()
    probed: tuple[int, ...] = ()
    """Frames measured only; their pictures are thrown away."""
    ending: Ending | None = None
    stopping: Ending | None = None
    kill_asked_at: float = 0.0
    """When its end was last asked for: an engine may refuse, or not answer."""
    complaint: Complaint | None = None
    """What the container itself said went wrong, before it exited."""
    container_since: float | None = None
    frame_since: float = 0.0
    greeted: bool = False
    """Blender runs in the container."""
    opened: bool = False
    alive_at: float = 0.0
    """When it last spoke or used its CPU."""
    cpu_micros: int = 0
    cpu_at_frame: int = 0
    """What had been used when this frame began."""
    cpu_seen_at: float | None = None
    room: Room | None = None
    room_at_frame: Room | None = None
    """As first seen, where the frame began before anybody looked."""
    cpus: float = 1.0
    """Cores the container may use."""
    looked_at: float | None = None
    """When this agent last looked at the clock."""
    progress: str = ""
    sample: int | None = None
    samples: int | None = None
    remaining: float | None = None
    """Seconds of this frame, by the renderer's own guess when it last spoke."""
    fetched: bool = False
    """The bundle came while the attempt was frozen."""
    frozen_since: float | None = None
    """Since when its lender has his machine back; while it is set the container stands still."""
    surveyed: bool = False
    """The report of an inspection was read, and is told."""
    told_rendered_at: float = -1e9
    told_completed_at: float = -1e9
    story: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.assignment.grant.attempt

    def to_render(self) -> tuple[int, ...]:
        """Frames not finished yet, in the order of the assignment."""
        finished = {held.frame for held in self.frames}.union(self.probed)
        return tuple(frame for frame in frames(self.assignment.grant.frames) if frame not in finished)

    def is_done(self) -> bool:
        """All that it was given for is here. An inspection has no frames: it is done with its report."""
        return self.surveyed if self.assignment.grant.kind is Kind.INSPECT else not self.to_render()

    def at_work(self) -> int | None:
        """The frame under way, or the next one. An inspection has none."""
        return None if self.assignment.grant.kind is Kind.INSPECT else next(iter(self.to_render()), None)

    def held(self, frame: int) -> HeldFrame | None:
        return next((held for held in self.frames if held.frame == frame), None)

    def delivered(self) -> bool:
        return all(held.standing is Standing.COMPLETED for held in self.frames)

    def in_hand(self) -> bool:
        """Whether it occupies a slot and its lease is wanted."""
        gone = self.ending is not None and self.ending.end is End.WITHDRAWN
        return self.phase in (Phase.FETCHING, Phase.RENDERING) or (self.phase is Phase.DELIVERING and not gone)

    def told(self, now: float) -> AttemptInHand:
        """What the pulse says of it."""
        grant, left = self.assignment.grant, self.to_render()
        rendering = self.phase is Phase.RENDERING and self.opened and bool(left)
        text = FROZEN if self.frozen_since is not None else self.progress or self.phase.value
        return AttemptInHand(
            attempt=grant.attempt,
            chunk=grant.chunk,
            job=grant.job,
            frame=left[0] if rendering else None,
            frame_started_seconds_ago=max(0.0, now - self.frame_since) if rendering else 0.0,
            text=text[:200],
            sample=self.sample if rendering else None,
            samples=self.samples if rendering else None,
            remaining_seconds=self.remaining if rendering else None,
        )


def move(attempt: Attempt, phase: Phase, why: str) -> Attempt:
    """Raises IllegalMove when the table has no such move."""
    story = (*attempt.story, f"{attempt.phase} -> {phase}: {why}")
    if phase not in MOVES[attempt.phase]:
        raise IllegalMove(f"attempt {attempt.id}: " + "; ".join(story))
    return replace(attempt, phase=phase, story=story)
