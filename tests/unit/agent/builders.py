"""Assignments and pictures for tests of the agent."""

from datetime import UTC, datetime, timedelta
from typing import Any

from agent.domain import machine, signals
from agent.domain.attempt import Attempt
from contracts.events import ChunkAssigned, Event, FrameUpload, RenderedFrame
from contracts.grants import Grant
from contracts.values import Kind, Picture, RenderSettings, ranges

IMAGE = "sha256:" + "a" * 64
SIZE = Picture(width=192, height=108)


def a_grant(*frames: int, **changes: Any) -> Grant:
    fields: dict[str, Any] = {
        "agent": "agent-1",
        "job": "job-1",
        "chunk": "chunk-1",
        "attempt": "attempt-1",
        "kind": Kind.RENDER,
        "frames": ranges(frames or (1, 2, 3)),
        "bundle": "b" * 64,
        "picture": SIZE,
        "max_bytes": 1 << 20,
        "until": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=10),
    }
    return Grant(**{**fields, **changes})


def an_assignment(*frames: int, kind: Kind = Kind.RENDER, **changes: Any) -> ChunkAssigned:
    fields: dict[str, Any] = {
        "grant": a_grant(*frames, kind=kind),
        "image": IMAGE,
        "blend": "scene.blend",
        "bundle_bytes": 1_000,
        "settings": RenderSettings(),
        "picture": SIZE,
        "lease_seconds": 60,
        "max_seconds_per_frame": 120,
        "memory_bytes": 1_000_000_000,
    }
    return ChunkAssigned(**{**fields, **changes})


def a_picture(frame: int, size: int = 100) -> RenderedFrame:
    return RenderedFrame(
        frame=frame, bytes=size, file_sha256=f"{frame:064x}", pixel_sha256="f" * 64, cpu_micros=5_000_000, seconds=5.0
    )


def an_upload(frame: int, size: int = 100) -> FrameUpload:
    return FrameUpload(frame=frame, url=f"http://store/{frame}", bytes=size, content_type="image/png")


class Life:
    """An attempt that lives through what happens to it, with everything it ever wanted done."""

    def __init__(self, assignment: ChunkAssigned | None = None, ends_at: float = 10_000.0) -> None:
        self.now = 100.0
        self.attempt, self.last = machine.begin(assignment or an_assignment(), self.now, ends_at)
        self.done: list[signals.Action] = list(self.last)

    @classmethod
    def of(cls, attempt: Attempt, now: float) -> "Life":
        life = cls(attempt.assignment, attempt.ends_at)
        life.now, life.attempt, life.done = now, attempt, []
        return life

    @classmethod
    def rendering(cls, assignment: ChunkAssigned | None = None) -> "Life":
        life = cls(assignment)
        life.on(signals.BundleFetched(), signals.ContainerStarted(), signals.SceneOpened())
        return life

    def on(self, *happened: signals.Input, after: float = 0.0) -> "Life":
        self.now += after
        for one in happened:
            self.attempt, actions = machine.decide(self.attempt, one, self.now)
            self.last = actions
            self.done += actions
        return self

    def told(self, event: type[Event] | None = None) -> list[Any]:
        said = [action.event for action in self.done if isinstance(action, signals.Tell)]
        return [one for one in said if event is None or isinstance(one, event)]

    def frames_told(self, event: type[Event]) -> list[list[int]]:
        return [[frame.frame for frame in one.frames] for one in self.told(event)]

    def wants(self, action: type[signals.Action]) -> list[Any]:
        return [one for one in self.done if isinstance(one, action)]

    def exits(self, code: int = 0, out_of_memory: bool = False, after: float = 0.0) -> "Life":
        return self.on(signals.ContainerExited(code, out_of_memory, "last words"), after=after)

    def renders(self, *frames: int, seconds: float = 5.0) -> "Life":
        for frame in frames:
            self.on(signals.FrameTaken(a_picture(frame)), after=seconds)
        return self

    def delivers(self, *frames: int) -> "Life":
        self.on(signals.UploadsCame(tuple(an_upload(frame) for frame in frames)))
        return self.on(*(signals.Uploaded(frame) for frame in frames))
