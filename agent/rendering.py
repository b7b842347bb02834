"""One container of one attempt: started, listened to as one listens to a stranger, watched, ended, cleaned up after."""

import asyncio
import contextlib
import itertools
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import structlog

from agent import keeping, metrics, pictures, scrub
from agent.container import DRIVER, SURVEY, ContainerGone, EngineAway, EngineRefused, Running
from agent.domain import claims, signals, survey, verdicts
from agent.domain.admission import memory
from agent.domain.attempt import Attempt, failed, released
from agent.domain.progress import heard
from agent.hearing import TOO_LONG, TOO_MUCH, CutShort
from agent.host import PROC, Look, room
from agent.lockdown import Spec
from agent.process import Process
from agent.resources import Meter
from agent.traces import AttemptTrace
from agent.workplace import Workplace
from contracts.events import ChunkAssigned, Fault, ProbeMeasured, Release, RenderedFrame
from contracts.values import MICRO, Kind

log = structlog.get_logger()

LOOK_SECONDS = 0.5
CPU_LOOKS, EARLY_LOOK = 10, 2
"""Every so many looks what the container takes is asked for too; early at first, for chunks that do not last."""
LINES_PER_FRAME, LINES_PER_SECOND = 2_000, 4
"""The driver says two lines a second and one per frame."""
KILLS_AT_ONCE = 2  # one by a verdict may wait for the engine, an order does not wait for it, and more would not help
GRACE_SECONDS = 30.0
"""A container ends by itself so long after its grant, should nobody have ended it."""


class Render:
    """`feed` takes what happens; `attempt` gives the attempt as it stands."""

    proc = PROC  # where the kernel tells of this machine

    def __init__(
        self,
        place: Workplace,
        assignment: ChunkAssigned,
        trace: AttemptTrace,
        feed: Callable[[signals.Input], Awaitable[None]],
        attempt: Callable[[], Attempt],
        meter: Meter,
    ) -> None:
        self._place, self._assignment, self._trace, self._feed, self._attempt = place, assignment, trace, feed, attempt
        self._grant, self._meter, self._folder = assignment.grant, meter, place.folders.work / assignment.grant.attempt
        self._running: Running | Process | None = None
        self._turn: asyncio.Task[bool] | None = None
        self._lines_since_frame, self._has_slot = 0, False
        self._is_to_be_frozen, self._holding = False, asyncio.Lock()
        self._killing, self._refusals = asyncio.Semaphore(KILLS_AT_ONCE), 0
        self._began = time.monotonic()
        self._decoder = pictures.Decoder.of(assignment.picture, is_whole=assignment.scale_percent == 100)

    async def run(self) -> None:
        """Returns when the container is gone; whatever became of it was fed."""
        self._turn = asyncio.create_task(self._place.slots.acquire())
        with contextlib.suppress(asyncio.CancelledError):
            await self._turn
        if self._turn.cancelled():
            return await self._feed(signals.ContainerLost(released(Release.STOPPED, "it was not started any more")))
        self._has_slot = True
        try:
            await self._in_turn()
        finally:
            self._leave_slot()

    def _leave_slot(self) -> None:
        """As soon as the container has ended: what is left to clear away takes neither memory nor CPU worth a slot."""
        if self._has_slot:
            self._has_slot = False
            self._place.slots.release()

    async def _in_turn(self) -> None:
        self._began, lost = time.monotonic(), None
        try:
            with self._place.cache.used(self._grant.bundle):
                await self._contained()
        except ContainerGone:
            lost = verdicts.removed()
        except EngineAway as away:
            refuses = isinstance(away, EngineRefused) and self._running is None
            lost = (verdicts.no_container if refuses else verdicts.no_docker)(scrub.words(str(away)))
        except OSError as full:
            frame = next(iter(self._attempt().to_render()), None)
            lost = failed(Fault.MACHINE, f"this machine's disk: {full.strerror}", frame)
        finally:
            await self._decoder.close()
            await asyncio.to_thread(shutil.rmtree, self._folder, True)
        if lost is not None:  # said after it has made room: what comes of it must be written down
            self._leave_slot()
            await self._feed(signals.ContainerLost(lost))

    async def kill(self) -> None:
        """While it waits for its turn it gives up; while it is being started, the start brings another order to kill."""
        if self._running is None:
            if self._turn is not None:
                self._turn.cancel()
        elif not self._killing.locked():
            async with self._killing:
                await self._kill(self._running)

    async def _kill(self, running: Running | Process) -> None:
        with contextlib.suppress(EngineAway, TimeoutError):
            judged = (why := self._attempt().stopping) is not None and why.fault is not None  # an order waits for nothing
            if judged and await asyncio.wait_for(running.is_paused(), 10) and not self._is_to_be_frozen:
                await asyncio.wait_for(self._feed(signals.StoodStill()), 1)
            await asyncio.wait_for(self._feed(signals.CpuSeen(await asyncio.wait_for(running.cpu_micros(), 0.5))), 1)
        try:
            await running.kill()
        except EngineAway as away:
            self._refusals += 1
            if self._refusals.bit_count() == 1:  # the 1st, 2nd, 4th, 8th …: it is asked again while it is there
                log.error("a container could not be killed", times=self._refusals, why=str(away))

    async def hold(self, frozen: bool) -> None:
        """Freezes or thaws the container. Orders may overtake each other on their way to Docker: the last one given counts."""
        self._is_to_be_frozen = frozen
        async with self._holding:
            if self._running is None or self._is_to_be_frozen is not frozen:
                return
            try:
                await self._running.hold(frozen)
            except EngineAway as away:
                log.error("a container could not be held", frozen=frozen, why=str(away))
                await self._feed(signals.GiveBack("its lender needs the machine and the container cannot be held"))

    async def _contained(self) -> None:
        self._running = running = await self._place.engine.start(self._spec())
        await self._feed(signals.ContainerStarted(self._place.settings.slot_cpus))
        self._meter.start()
        look = Look(self._place.folders.spool, self.proc)
        watch = asyncio.create_task(self._watch(running, look))
        try:
            if self._grant.kind is not Kind.INSPECT:
                await self._decoder.start()
            while (line := await running.line()) is not None:
                await self._heard(line)
            ended = await running.wait()
            self._leave_slot()
            seen = (scrub.tail(ended.stderr), ended.memory_limit_bytes, look.facts())
            await self._feed(signals.ContainerExited(ended.code, ended.out_of_memory, *seen))
            self._trace.step("container", time.monotonic() - self._began, exit_code=ended.code)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await self._meter.end()
            await running.remove()

    def _spec(self) -> Spec:
        """A fresh folder /in with the task and, below it, the bundle."""
        inspect = self._grant.kind is Kind.INSPECT
        files = self._place.cache.find(self._grant.bundle)
        if files is None:
            raise FileNotFoundError(0, "the bundle is gone from the cache")
        self._place.folders.prepare(self._grant.attempt, self._task())
        return Spec(
            image=self._assignment.image,
            command=SURVEY if inspect else DRIVER,
            agent=self._place.agent,
            attempt=self._grant.attempt,
            cpus=self._place.settings.slot_cpus,
            memory_bytes=memory(self._assignment),
            binds=((self._folder / "in", "/in"), (files, "/in/bundle")),
            picture_bytes=0 if inspect else self._grant.max_bytes,
            line_bytes=survey.REPORT_BYTES if inspect else claims.LINE_BYTES,
            seconds=max(0.0, self._attempt().ends_at - self._place.now()) + GRACE_SECONDS,
            gpu=self._assignment.gpu,
            lowest=self._place.settings.agent_priority == "lowest",
        )

    def _task(self) -> dict[str, Any]:
        own = self._assignment.settings.model_dump(mode="json", exclude={"gpu"}, exclude_defaults=True)
        return {
            "blend": f"/in/bundle/{self._assignment.blend}",
            "frames": list(self._attempt().to_render()),
            "settings": {**own, "format": "PNG", "color_depth": str(self._assignment.picture.bits)},
            "scale_percent": self._assignment.scale_percent,
            **({"gpu": True} if self._assignment.gpu else {}),
        }

    # --- what it says

    async def _heard(self, line: bytes) -> None:
        if self._attempt().stopping is not None:
            return
        self._lines_since_frame += 1
        if line == TOO_MUCH or self._talks_too_much():
            return await self._misbehaved("the container does not stop talking", None)
        try:
            if self._grant.kind is not Kind.INSPECT:
                await self._claimed(claims.read_claim(line))
            elif not self._attempt().surveyed:
                await self._feed(signals.Surveyed(survey.read_report(self._grant, b"" if line == TOO_LONG else line)))
        except (claims.NonsenseClaim, survey.NonsenseReport) as nonsense:
            await self._misbehaved(f"the container speaks nonsense: {nonsense}", None)

    def _talks_too_much(self) -> bool:
        """Counted by the frame, not by the second: a slow listener hears a flood slowly."""
        most = LINES_PER_FRAME + LINES_PER_SECOND * self._assignment.max_seconds_per_frame
        return self._lines_since_frame > most and self._place.engine.guards.bounded_talk

    async def _claimed(self, claim: claims.Claim) -> None:
        match claim:
            case claims.Hello():
                await self._feed(signals.Greeted())
            case claims.Opened():
                metrics.CONTAINER_START_SECONDS.observe(time.monotonic() - self._began)
                await self._feed(signals.SceneOpened())
            case claims.Progress(text=text, remaining=left):
                await self._feed(heard(text, left))
            case claims.FrameDone():
                self._meter.claimed(claim.rss_bytes)
                await self._frame_done(claim)
            case claims.Done() if self._running is not None:
                await self._measure(self._running)
            case claims.Complaint(code=code, frame=frame, text=text):
                await self._feed(signals.Complained(code, frame, scrub.words(text)))

    async def _frame_done(self, claim: claims.FrameDone) -> None:
        if claim.frame not in self._attempt().to_render():
            return await self._misbehaved("the container speaks of a frame it was not given", None)
        if not 0 < claim.bytes <= self._grant.max_bytes:
            words = f"the picture is bad: its {claim.bytes} bytes are not within 1 to {self._grant.max_bytes}"
            return await self._misbehaved(words, claim.frame)
        took, began = max(0.0, self._place.now() - self._attempt().frame_since), time.monotonic()
        try:
            picture = await self._picture(claim, took)
        except pictures.SpoiltPicture as spoilt:
            return await self._misbehaved(f"the picture is bad: {spoilt}", claim.frame)
        except CutShort:
            return None  # the container has ended; how it did says whose fault that is
        self._lines_since_frame = 0
        metrics.CHECK_SECONDS.observe(time.monotonic() - began)
        metrics.FRAMES.labels(self._grant.kind).inc()
        metrics.FRAME_SECONDS.observe(picture.seconds)
        metrics.FRAME_CPU_SECONDS.observe(picture.cpu_micros / MICRO)
        ids = {"job": self._grant.job, "attempt": self._grant.attempt, "trace": self._trace.id}
        log.info("frame finished", frame=claim.frame, seconds=round(picture.seconds, 3), bytes=picture.bytes, **ids)
        self._trace.step("frame", picture.seconds, frame=claim.frame, cpu_micros=picture.cpu_micros)
        await self._feed(self._finished(picture))

    async def _picture(self, claim: claims.FrameDone, took: float) -> RenderedFrame:
        """From the bytes we received; its costs are claims, held below what the clock allows."""
        path = self._place.folders.picture(self._grant.attempt, claim.frame)
        await keeping.make_room(self._place, claim.bytes)
        received = await pictures.receive(self._counted(claim.bytes), path)
        seconds = min(claim.seconds, took + 1.0)
        return RenderedFrame(
            frame=claim.frame,
            bytes=received.bytes,
            file_sha256=received.file_sha256,
            pixel_sha256=await self._decoder.pixel_sha256(path),
            cpu_micros=round(min(claim.cpu_seconds, seconds * (os.cpu_count() or 1)) * MICRO),
            seconds=seconds,
        )

    def _counted(self, count: int) -> AsyncIterator[bytes]:
        if self._running is None:
            raise CutShort
        return self._running.counted(count)

    def _finished(self, picture: RenderedFrame) -> signals.Input:
        if self._grant.kind is not Kind.PROBE:
            return signals.FrameTaken(picture)
        self._place.folders.picture(self._grant.attempt, picture.frame).unlink(missing_ok=True)
        cost = {"cpu_micros": picture.cpu_micros, "seconds": picture.seconds, "scale_percent": self._assignment.scale_percent}
        return signals.Probed(ProbeMeasured(grant=self._grant, frame=picture.frame, **cost))

    async def _misbehaved(self, text: str, frame: int | None) -> None:
        log.error("container misbehaved", attempt=self._grant.attempt, job=self._grant.job, why=text)
        await self._feed(signals.ContainerMisbehaved(failed(Fault.MACHINE, text, frame)))

    # --- what it does

    async def _watch(self, running: Running | Process, look: Look) -> None:
        for looks in itertools.count(1):
            await asyncio.sleep(LOOK_SECONDS)
            look.memory()
            if looks % CPU_LOOKS == EARLY_LOOK:
                await self._measure(running)

    async def _measure(self, running: Running | Process) -> None:
        with contextlib.suppress(EngineAway):
            stats = await running.stats()
            await self._feed(signals.CpuSeen(await self._meter.look(stats, self._place.now()), room(stats, self.proc)))
