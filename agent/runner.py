"""Carries out what the machine of one attempt decides, and feeds it what happened. Decides nothing itself."""

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import structlog

from agent import metrics
from agent.domain import machine, signals
from agent.domain.attempt import Attempt, Phase, Standing
from agent.fetching import Fetch, NoBundle
from agent.journal import NoRoom
from agent.rendering import Render
from agent.traces import AttemptTrace
from agent.workplace import Workplace
from contracts.events import AttemptCancelled, AttemptVoid, BundleGranted, Event, FrameUpload, UploadGranted

log = structlog.get_logger()

PAUSE_SECONDS = 1.0


class Runner:
    """One attempt, from its first step until it may be forgotten. Runs in the event loop only."""

    def __init__(
        self,
        place: Workplace,
        attempt: Attempt,
        trace: AttemptTrace,
        freed: Callable[[bool], None],
        forgotten: Callable[[str], None],
    ) -> None:
        self.attempt = attempt
        self._place, self._trace, self._freed, self._forgotten = place, trace, freed, forgotten
        grant = attempt.assignment.grant
        self._log = log.bind(job=grant.job, chunk=grant.chunk, attempt=grant.attempt, trace=trace.id)
        self._meter = place.meters.meter(attempt.assignment, self._say)
        self._fetch = Fetch(place, attempt.assignment, trace.headers(), self._meter.received)
        self._fetching: asyncio.Task[None] | None = None
        self._ordered: asyncio.Task[None] | None = None
        self._render: Render | None = None
        self._valid_until = 0.0
        self._keeping = ExitStack()
        self._is_forgotten = False

    def headers(self) -> dict[str, str]:
        """The trace context of this attempt."""
        return self._trace.headers()

    def lingers(self) -> bool:
        """Nothing is left to do but to keep its pictures a while."""
        return self.attempt.phase is Phase.ENDED and self.attempt.delivered()

    def begin(self, actions: tuple[signals.Action, ...]) -> None:
        """The first step of a fresh attempt."""
        grant = self.attempt.assignment.grant
        self._log.info("attempt begins", kind=grant.kind, frames=len(grant))
        self._perform(actions)

    def feed(self, happened: signals.Input) -> None:
        """Decides, keeps the decision on disk, then acts. What comes late, a slow store's answer say, finds nothing to decide."""
        if self._is_forgotten:
            return
        before = self.attempt
        try:
            after, actions = self._kept(machine.decide(before, happened, self._place.now()))
        except NoRoom:  # what must be told waits; to freeze, to thaw and to kill needs nothing written down
            after, actions = self._kept(machine.unsaid(before, happened, self._place.now()))
        self.attempt = after
        if after.phase not in (Phase.FETCHING, Phase.RENDERING):
            self._keeping.close()
        if before.phase is not Phase.ENDED and after.phase is Phase.ENDED:
            self._report()
        self._perform(actions)

    def _kept(self, decided: signals.Decision) -> signals.Decision:
        """Written down, where it must outlive this process. Raises NoRoom."""
        before, (after, actions) = self.attempt, decided
        told = [action.event for action in actions if isinstance(action, signals.Tell)]
        if told or after.frames != before.frames or after.phase is not before.phase:
            self._place.journal.record(before, after, told, self._trace.headers())
        return decided

    def order(self, order: signals.Input) -> None:
        """What its owner wants; carried out later when it cannot be written down yet, unless he wants something else by then."""
        if self._ordered is not None:
            self._ordered.cancel()
        try:
            self.feed(order)
        except NoRoom:
            waits = self._start(self._feed(order), "order")
            if not isinstance(order, signals.Withdrawn | signals.Stopping):  # what ends it nobody takes back
                self._ordered = waits

    def tick(self) -> bool:
        """Time passes. False: what comes of it cannot be written down, and is looked at again. It was awake all the same."""
        try:
            self.feed(signals.Tick())
        except NoRoom:
            self.attempt = replace(self.attempt, looked_at=self._place.now())
            return False
        return True

    def hear(self, event: Event) -> None:
        """What is said to us about this attempt."""
        match event:
            case BundleGranted():
                self._fetch.granted.put_nowait(event)
            case UploadGranted():
                self._valid_until = self._place.now() + event.seconds_valid
                self.feed(signals.UploadsCame(event.uploads))
            case AttemptVoid() | AttemptCancelled():
                self.feed(signals.Withdrawn(event.reason or "taken away by the scheduler"))
            case _:
                pass

    def _report(self) -> None:
        ending = self.attempt.ending
        outcome = ending.end if ending else "none"
        metrics.ATTEMPTS.labels(self.attempt.assignment.grant.kind, outcome).inc()
        self._trace.end(outcome, outcome in ("completed", "withdrawn"))
        words = {"text": ending.text, "frame": ending.frame, "advice": ending.advice} if ending and ending.text else {}
        self._log.info("attempt ended", outcome=outcome, finished=len(self.attempt.frames), **words)

    def _perform(self, actions: tuple[signals.Action, ...]) -> None:
        do: dict[type[signals.Action], Callable[[Any], None]] = {
            signals.FetchBundle: self._do_fetch,
            signals.DropBundle: self._do_drop,
            signals.StartContainer: self._do_start,
            signals.KillContainer: self._do_kill,
            signals.FreezeContainer: lambda _: self._do_hold(frozen=True),
            signals.ThawContainer: lambda _: self._do_hold(frozen=False),
            signals.Upload: self._do_upload,
            signals.Tell: lambda _: self._place.outbox.nudge(),
            signals.Freed: lambda action: self._freed(action.ready),
            signals.Forget: lambda _: self.forget(),
        }
        for action in actions:
            do[type(action)](action)

    def _do_fetch(self, _: signals.FetchBundle) -> None:
        """From now on the bundle stays here, also while the attempt waits for its slot."""
        self._keeping.enter_context(self._place.cache.used(self.attempt.assignment.grant.bundle))
        self._fetching = self._start(self._fetched(), "fetch")

    def _do_drop(self, _: signals.DropBundle) -> None:
        if self._fetching is not None:
            self._fetching.cancel()

    def _do_start(self, _: signals.StartContainer) -> None:
        self._render = Render(self._place, self.attempt.assignment, self._trace, self._feed, lambda: self.attempt, self._meter)
        self._start(self._render.run(), "render")

    def _do_kill(self, _: signals.KillContainer) -> None:
        if self._render is not None:
            self._start(self._render.kill(), "kill")

    def _do_hold(self, frozen: bool) -> None:
        if self._render is not None:
            self._start(self._render.hold(frozen), "freeze" if frozen else "thaw")

    def _do_upload(self, action: signals.Upload) -> None:
        self._start(self._upload(action.upload), "upload")

    def _say(self, event: Event) -> None:
        """Worth saying now or never."""
        if self._render is not None:
            self._place.background.start(self._place.say(event, self._trace.headers()), f"say {event.key()}")

    def _start(self, what: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        return self._place.background.start(what, f"{name} {self.attempt.id}")

    async def _fetched(self) -> None:
        began = time.monotonic()
        try:
            await self._fetch.run()
        except NoBundle as none:
            return await self._feed(signals.BundleLost(none.ending))
        self._trace.step("bundle", time.monotonic() - began)
        await self._feed(signals.BundleFetched())

    async def _upload(self, upload: FrameUpload) -> None:
        began = time.monotonic()
        path = self._place.folders.picture(self.attempt.id, upload.frame)
        stored = await self._place.uploader.put(path, upload, self._valid_until - self._place.now())
        if stored:
            self._meter.sent(upload.bytes)
            self._trace.step("upload", time.monotonic() - began, frame=upload.frame, bytes=upload.bytes)
        await self._feed(signals.Uploaded(upload.frame) if stored else signals.UploadMissed(upload.frame))

    async def _feed(self, happened: signals.Input) -> None:
        """When there is room to write down what comes of it."""
        while True:
            try:
                return self.feed(happened)
            except NoRoom:
                self._log.warning("an attempt waits: the disk is full")
                await asyncio.sleep(PAUSE_SECONDS)

    def forget(self) -> None:
        """Its pictures are deleted, whether they were delivered or not."""
        lost = [held.frame for held in self.attempt.frames if held.standing is not Standing.COMPLETED]
        if lost:
            self._log.warning("finished frames were never delivered", frames=len(lost))
        shutil.rmtree(self._place.folders.spool / self.attempt.id, ignore_errors=True)  # first: it makes room for the next line
        self._place.journal.forget(self.attempt.id)
        self._is_forgotten = True
        self._forgotten(self.attempt.id)
