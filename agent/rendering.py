"""One container of one attempt: started, listened to as one listens to a stranger, watched, ended, cleaned up after."""

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from agent import metrics, pictures, scrub
from agent.container import DRIVER, SURVEY, TOO_LONG, UID, EngineAway, EngineRefused, Running, Spec
from agent.domain import claims, signals, survey
from agent.domain.admission import memory
from agent.domain.attempt import Attempt, failed, released
from agent.traces import AttemptTrace
from agent.workplace import Workplace
from contracts.events import ChunkAssigned, Fault, ProbeMeasured, Release, RenderedFrame
from contracts.values import MICRO, Kind

log = structlog.get_logger()

LOOK_SECONDS = 0.5
CPU_LOOKS = 10
"""Every so many looks the CPU time is asked for too."""
LINES_PER_LOOK = 2_000
"""The driver says two lines a second and one per frame."""
ENTRIES = 2_000
OUT_SLACK_BYTES = 64 << 20


class Render:
    """`feed` takes what happens; `attempt` gives the attempt as it stands."""

    def __init__(
        self,
        place: Workplace,
        assignment: ChunkAssigned,
        trace: AttemptTrace,
        feed: Callable[[signals.Input], None],
        attempt: Callable[[], Attempt],
    ) -> None:
        self._place, self._assignment, self._trace, self._feed, self._attempt = place, assignment, trace, feed, attempt
        self._grant = assignment.grant
        self._folder = place.folders.work / self._grant.attempt
        self._out = self._folder / "out"
        self._running: Running | None = None
        self._turn: asyncio.Task[bool] | None = None
        self._lines_since_look = 0
        self._began = time.monotonic()
        self._decoder = self._new_decoder()

    async def run(self) -> None:
        """Returns when the container is gone; whatever became of it was fed."""
        self._turn = asyncio.create_task(self._place.slots.acquire())
        with contextlib.suppress(asyncio.CancelledError):
            await self._turn
        if self._turn.cancelled():
            return self._feed(signals.ContainerLost(released(Release.STOPPED, "it was not started any more")))
        try:
            await self._in_turn()
        finally:
            self._place.slots.release()

    async def _in_turn(self) -> None:
        self._began = time.monotonic()
        try:
            with self._place.cache.used(self._grant.bundle):
                await self._contained()
        except EngineRefused as refused:
            self._feed(signals.ContainerLost(failed(Fault.MACHINE, str(refused))))
        except EngineAway as away:
            self._feed(signals.ContainerLost(released(Release.STOPPED, str(away))))
        except OSError as full:
            self._feed(signals.ContainerLost(failed(Fault.MACHINE, f"this machine's disk: {full.strerror}")))
        finally:
            await self._decoder.close()
            await asyncio.to_thread(shutil.rmtree, self._folder, True)

    async def kill(self) -> None:
        """While it waits for its turn it gives up; while it is being started, the start brings another order to kill."""
        if self._running is None:
            if self._turn is not None and not self._turn.done():
                self._turn.cancel()
            return
        with contextlib.suppress(EngineAway, TimeoutError):
            self._feed(signals.CpuSeen(await asyncio.wait_for(self._running.cpu_micros(), 0.5)))
        try:
            await self._running.kill()
        except EngineAway as away:
            log.error("a container could not be killed", why=str(away))

    async def _contained(self) -> None:
        self._running = running = await self._place.engine.start(self._spec())
        self._feed(signals.ContainerStarted())
        watch = asyncio.create_task(self._watch(running))
        try:
            if self._grant.kind is not Kind.INSPECT:
                await self._decoder.start()
            while (line := await running.line()) is not None:
                await self._heard(line)
            ended = await running.wait()
            self._feed(signals.ContainerExited(ended.code, ended.out_of_memory, scrub.tail(ended.stderr)))
            self._trace.step("container", time.monotonic() - self._began, exit_code=ended.code)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await running.remove()

    def _spec(self) -> Spec:
        """Fresh folders: /in with the task and, below it, the bundle; /out for pictures."""
        inspect = self._grant.kind is Kind.INSPECT
        files = self._place.cache.find(self._grant.bundle)
        if files is None:
            raise FileNotFoundError(0, "the bundle is gone from the cache")
        _make(self._folder, self._task())
        (self._place.folders.spool / self._grant.attempt).mkdir(exist_ok=True)
        return Spec(
            image=self._assignment.image,
            command=SURVEY if inspect else DRIVER,
            agent=self._place.agent,
            attempt=self._grant.attempt,
            cpus=self._place.settings.slot_cpus,
            memory_bytes=memory(self._assignment),
            binds=((self._folder / "in", "/in", False), (files, "/in/bundle", False), (self._out, "/out", True)),
            line_bytes=survey.REPORT_BYTES if inspect else claims.LINE_BYTES,
        )

    def _task(self) -> dict[str, Any]:
        own = self._assignment.settings.model_dump()
        return {
            "blend": f"/in/bundle/{self._assignment.blend}",
            "frames": list(self._attempt().to_render()),
            "settings": {**own, "format": "PNG", "color_depth": str(self._assignment.picture.bits)},
            "scale_percent": self._assignment.scale_percent,
        }

    def _new_decoder(self) -> pictures.Decoder:
        """A probe's picture may have any size up to the full one: it is thrown away."""
        picture, whole = self._assignment.picture, self._assignment.scale_percent == 100
        width, height = (picture.width, picture.height) if whole else (None, None)
        return pictures.Decoder(width, height, picture.bits, picture.width * picture.height)

    # --- what it says

    async def _heard(self, line: bytes) -> None:
        if self._attempt().stopping is not None:
            return
        self._lines_since_look += 1
        if self._lines_since_look > LINES_PER_LOOK:
            return self._misbehaved("the container does not stop talking", None)
        try:
            if self._grant.kind is Kind.INSPECT:
                self._feed(signals.Surveyed(survey.read_report(self._grant, b"" if line == TOO_LONG else line)))
            else:
                await self._claimed(claims.read_claim(line))
        except (claims.NonsenseClaim, survey.NonsenseReport) as nonsense:
            self._misbehaved(f"the container speaks nonsense: {nonsense}", None)

    async def _claimed(self, claim: claims.Claim) -> None:
        match claim:
            case claims.Opened():
                metrics.CONTAINER_START_SECONDS.observe(time.monotonic() - self._began)
                self._feed(signals.SceneOpened())
            case claims.Progress(text=text):
                self._feed(signals.Progressed(text))
            case claims.FrameDone():
                await self._frame_done(claim)
            case claims.Complaint(code=code, frame=frame, text=text):
                self._feed(signals.Complained(code, frame, scrub.tail(text)))
            case _:
                pass

    async def _frame_done(self, claim: claims.FrameDone) -> None:
        if claim.frame not in self._attempt().to_render():
            return self._misbehaved("the container speaks of a frame it was not given", None)
        took = time.monotonic() - self._attempt().frame_since
        began = time.monotonic()
        try:
            picture = await self._picture(claim, took)
        except pictures.SpoiltPicture as spoilt:
            return self._misbehaved(f"the picture is bad: {spoilt}", claim.frame)
        metrics.CHECK_SECONDS.observe(time.monotonic() - began)
        metrics.FRAMES.labels(self._grant.kind).inc()
        metrics.FRAME_SECONDS.observe(picture.seconds)
        metrics.FRAME_CPU_SECONDS.observe(picture.cpu_micros / MICRO)
        ids = {"job": self._grant.job, "attempt": self._grant.attempt, "trace": self._trace.id}
        log.info("frame finished", frame=claim.frame, seconds=round(picture.seconds, 3), bytes=picture.bytes, **ids)
        self._trace.step("frame", picture.seconds, frame=claim.frame, cpu_micros=picture.cpu_micros)
        self._feed(self._finished(picture))

    async def _picture(self, claim: claims.FrameDone, took: float) -> RenderedFrame:
        """From the bytes we copied; its costs are claims, held below what the clock allows."""
        path = picture_path(self._place, self._grant.attempt, claim.frame)
        copied = await asyncio.to_thread(pictures.take, self._out, claim.frame, path, self._grant.max_bytes)
        seconds = min(claim.seconds, took + 1.0)
        return RenderedFrame(
            frame=claim.frame,
            bytes=copied.bytes,
            file_sha256=copied.file_sha256,
            pixel_sha256=await self._decoder.pixel_sha256(path),
            cpu_micros=round(min(claim.cpu_seconds, seconds * (os.cpu_count() or 1)) * MICRO),
            seconds=seconds,
        )

    def _finished(self, picture: RenderedFrame) -> signals.Input:
        if self._grant.kind is not Kind.PROBE:
            return signals.FrameTaken(picture)
        picture_path(self._place, self._grant.attempt, picture.frame).unlink(missing_ok=True)
        cost = {"cpu_micros": picture.cpu_micros, "seconds": picture.seconds}
        scale = self._assignment.scale_percent
        return signals.Probed(ProbeMeasured(grant=self._grant, frame=picture.frame, scale_percent=scale, **cost))

    def _misbehaved(self, text: str, frame: int | None) -> None:
        log.error("container misbehaved", attempt=self._grant.attempt, job=self._grant.job, why=text)
        self._feed(signals.ContainerMisbehaved(failed(Fault.MACHINE, text, frame)))

    # --- what it does

    async def _watch(self, running: Running) -> None:
        look, most = 0, 4 * self._grant.max_bytes + OUT_SLACK_BYTES
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            look += 1
            self._lines_since_look = 0
            if _bytes_in(self._out) > most:
                self._feed(signals.ContainerMisbehaved(failed(Fault.SCENE, f"it writes more than {most} bytes to its output")))
            if look % CPU_LOOKS == 0:
                with contextlib.suppress(EngineAway):
                    self._feed(signals.CpuSeen(await running.cpu_micros()))


def picture_path(place: Workplace, attempt: str, frame: int) -> Path:
    """Where a finished frame is kept until it is delivered and a while longer."""
    return place.folders.spool / attempt / pictures.file_name(frame)


def _make(folder: Path, task: dict[str, Any]) -> None:
    """The container's user is another one: it may read /in and write /out, inside a folder nobody else may enter."""
    (folder / "in" / "bundle").mkdir(parents=True)
    (folder / "out").mkdir()
    (folder / "in" / "task.json").write_text(json.dumps(task), encoding="utf-8")
    if os.geteuid() == 0:
        os.chown(folder / "out", UID, UID)
    else:
        (folder / "out").chmod(0o777)


def _bytes_in(folder: Path) -> int:
    """Disk space used below a folder that somebody else writes to; stops counting at a number of entries only hostility needs."""
    total, entries, folders = 0, 0, [folder]
    while folders and entries < ENTRIES:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as found:
            for entry in found:
                entries += 1
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
    return total if entries < ENTRIES else 1 << 62
