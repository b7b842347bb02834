"""The agent's desk: takes what the mailbox brings, knows which attempts are in hand, and takes up what a former run left."""

import asyncio
import shutil
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import structlog

from agent import keeping, metrics
from agent.domain import machine, signals
from agent.domain.admission import Machine, PassedOver, Refused, admit
from agent.domain.attempt import Attempt, Phase, Standing
from agent.domain.progress import is_ending
from agent.journal import NoRoom, Remembered
from agent.runner import Runner
from agent.traces import AttemptTrace
from agent.workplace import Workplace
from contracts.events import (
    AgentOrder,
    AgentOrdered,
    AttemptInHand,
    ChunkAssigned,
    ChunkReleased,
    Event,
    FarmChanged,
    FarmOrder,
    Release,
)
from contracts.values import Gpu

log = structlog.get_logger()

TICK_SECONDS = 0.25
LINGERING_TICKS = 20
"""Attempts that only linger with delivered pictures are looked at every so many ticks."""
REMEMBERED = 20
PAUSE_SECONDS = 1.0
REFUSED_PAUSE_SECONDS = 1.0
"""Readiness after a refusal waits, so that a mistaken scheduler and we do not spin."""


class Desk:
    """`wanted` is set when readiness must be said: a slot came free and nothing that was told implies it."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._runners: dict[str, Runner] = {}
        self._arrived = asyncio.Event()
        self.news = asyncio.Event()  # for who watches over the machine: there is work now
        self.wanted = asyncio.Event()
        self.images: tuple[str, ...] = ()
        self.gpus: tuple[Gpu, ...] = ()
        self.open = True
        self.resting = ""
        """Why its owner has the machine; then nothing is taken, and what is in hand stands still."""
        self.is_owners = False  # and it is not only for what work of ours may have caused
        self.order: AgentOrdered | None = None
        """The last one from afar."""
        self.farm: FarmChanged | None = None
        """What the operator has ordered the whole farm, heard on this connection."""
        self.told_to_stop = asyncio.Event()
        self.refused: deque[tuple[datetime, str, str]] = deque(maxlen=REMEMBERED)
        """When (by this machine's clock), whose job, and why: the last ones."""
        self._ticks = 0
        self._told_ending: frozenset[str] = frozenset()

    # --- what is in hand

    def in_hand(self) -> tuple[AttemptInHand, ...]:
        now = self._place.now()
        return tuple(runner.attempt.told(now) for runner in self._runners.values() if runner.attempt.in_hand())

    def ending(self) -> tuple[str, ...]:
        """Attempts in hand that will be over in a moment: work may follow already."""
        now = self._place.now()
        return tuple(name for name, runner in self._runners.items() if is_ending(runner.attempt, now))

    def rendering(self) -> frozenset[str]:
        """Attempts that have a container, or are about to."""
        return frozenset(name for name, runner in self._runners.items() if runner.attempt.phase is Phase.RENDERING)

    def _counted(self) -> int:
        count = len(self.in_hand())
        metrics.IN_HAND.set(count)
        return count

    # --- the bus

    def back_at_the_broker(self, *_: object) -> None:
        """The connection is there again: say what stands, and what waited."""
        log.info("back at the broker")
        self.farm = None  # if an order still stands, it is said again
        self.wanted.set()
        self._place.outbox.nudge()

    def take(self, event: Event, trace: Mapping[str, str], sent_at: datetime | None) -> None:
        """`sent_at` is the sender's clock: the grant's time is measured against it, never against this machine's."""
        if isinstance(event, ChunkAssigned):
            return self._assigned(event, trace, (event.grant.until - (sent_at or datetime.now(UTC))).total_seconds())
        if isinstance(event, AgentOrdered):
            return self._ordered(event)
        if isinstance(event, FarmChanged):
            return self._farm_changed(event)
        attempt = str(getattr(event, "attempt", ""))
        runner = self._runners.get(attempt)
        if runner is None or event.addressee != self._place.agent:
            log.info("not ours, or forgotten", event_key=event.key(), attempt=attempt)
            return None
        return runner.hear(event)

    def _assigned(self, assignment: ChunkAssigned, trace: Mapping[str, str], seconds_left: float) -> None:
        grant = assignment.grant
        answer = admit(assignment, self._machine(), seconds_left)
        if isinstance(answer, PassedOver):
            metrics.REFUSALS.labels("passed over").inc()
            log.info("assignment passed over", attempt=grant.attempt, job=grant.job, why=answer.text)
        elif isinstance(answer, Refused):
            metrics.REFUSALS.labels("refused").inc()
            log.warning("assignment refused", attempt=grant.attempt, job=grant.job, why=answer.text)
            self.refused.append((datetime.now(UTC), grant.job, answer.text))
            self._release(assignment, trace, Release.REFUSED, answer.text)
        else:
            self._begin(assignment, trace, seconds_left)

    def _ordered(self, said: AgentOrdered) -> None:
        """The scheduler already acts on it; here it is known why there is no work, and a stop ends the program."""
        if said.agent != self._place.agent or (self.order is not None and said.revision < self.order.revision):
            return
        log.info("ordered", order=said.order, by=said.by, revision=said.revision)
        self.order = said
        if said.order is AgentOrder.STOP:
            self.told_to_stop.set()
        elif said.order is AgentOrder.ENABLE:
            self.wanted.set()

    def _farm_changed(self, said: FarmChanged) -> None:
        """A stop ends all that runs here, whatever the scheduler believes it is; finished frames are delivered."""
        if said.agent != self._place.agent or (self.farm is not None and said.revision < self.farm.revision):
            return
        log.warning("order to the whole farm", order=said.order, revision=said.revision)
        self.farm = said
        if said.order is FarmOrder.STOP:
            self._tell_all(signals.Withdrawn("the farm was stopped by its operator"))

    def _begin(self, assignment: ChunkAssigned, parent: Mapping[str, str], seconds_left: float) -> None:
        attempt, actions = machine.begin(assignment, now := self._place.now(), now + seconds_left)
        runner = self._runner(attempt, parent)
        self._place.journal.open_attempt(attempt, runner.headers(), seconds_left)
        self._hold(runner)  # not before: a message that waits for room on the disk would be known already when it is tried again
        runner.begin(actions)
        self._counted()

    def _machine(self) -> Machine:
        named = self._counted()
        return Machine(
            agent=self._place.agent,
            images=self.images,
            memory_bytes=self._place.settings.slot_memory_bytes,
            free_disk_bytes=self._place.free_disk_bytes(),
            slots=self._place.settings.agent_slots,
            in_hand=named - len(self.ending()),
            named=named,
            gpus=self.gpus,
            gpus_taken=frozenset(gpu for gpu in self._gpus_taken() if gpu),
            known=frozenset(self._runners),
            open=self.open,
            resting=bool(self.resting),
            accepts=self._place.settings.acceptance,
        )

    def _gpus_taken(self) -> Iterator[str | None]:
        ending = self.ending()
        for name, runner in self._runners.items():
            if runner.attempt.in_hand() and name not in ending:
                yield runner.attempt.assignment.gpu

    def _release(self, assignment: ChunkAssigned, trace: Mapping[str, str], reason: Release, text: str) -> None:
        grant = assignment.grant
        event = ChunkReleased(job=grant.job, chunk=grant.chunk, attempt=grant.attempt, reason=reason, text=text)
        self._place.journal.keep(event, trace, seconds=3_600)
        self._place.outbox.nudge()
        asyncio.get_running_loop().call_later(REFUSED_PAUSE_SECONDS, self.wanted.set)

    def _runner(self, attempt: Attempt, parent: Mapping[str, str]) -> Runner:
        grant = attempt.assignment.grant
        named = {"job": grant.job, "chunk": grant.chunk, "attempt": grant.attempt, "agent": grant.agent, "kind": grant.kind}
        return Runner(self._place, attempt, AttemptTrace(parent, named), self._freed, self._forgotten)

    def _hold(self, runner: Runner) -> None:
        self._runners[runner.attempt.id] = runner
        self._arrived.set()
        self.news.set()

    def _freed(self, ready: bool) -> None:
        self._counted()
        if ready:
            self.wanted.set()

    def _forgotten(self, attempt: str) -> None:
        self._runners.pop(attempt, None)

    # --- time

    async def run(self) -> None:
        """For ever: lets every attempt know that time passes. Sleeps while there is none."""
        while True:
            if not self._runners:
                self._arrived.clear()
                await self._arrived.wait()
            await asyncio.sleep(TICK_SECONDS)
            self._ticks += 1
            if not self._tick():
                log.warning("what comes of passing time waits: the disk is full")
                await asyncio.sleep(PAUSE_SECONDS)

    def _tick(self) -> bool:
        """Whether all that came of it could be written down. Of whom it could not keeps no other attempt, nor what makes room."""
        all_too = self._ticks % LINGERING_TICKS == 0
        looked = [runner.tick() for runner in list(self._runners.values()) if all_too or not runner.lingers()]
        self._look_ahead()
        try:
            self._make_room()
        except NoRoom:
            return False
        return all(looked)

    def _look_ahead(self) -> None:
        """Each attempt that comes to its end is told once, so that the next one's bundle is fetched meanwhile."""
        ending = frozenset(self.ending())
        if ending - self._told_ending:
            self.wanted.set()
        self._told_ending = ending

    def _make_room(self) -> None:
        """Delivered pictures beyond the spool's bound go, oldest first; also when there is hardly room for the next one."""
        over = max(self._delivered_bytes() - self._place.settings.agent_spool_bytes, keeping.lacking(self._place))
        for runner in list(self._runners.values()) if over > 0 else ():
            if runner.lingers() and over > 0:
                over -= sum(held.picture.bytes for held in runner.attempt.frames)
                runner.forget()

    def _delivered_bytes(self) -> int:
        held = (held for runner in self._runners.values() for held in runner.attempt.frames)
        return sum(one.picture.bytes for one in held if one.standing is Standing.COMPLETED)

    # --- the owner's own use of the machine

    def busy(self) -> bool:
        """Something is fetched or rendered here."""
        return any(runner.attempt.phase in (Phase.FETCHING, Phase.RENDERING) for runner in self._runners.values())

    def freeze(self) -> None:
        self._tell_all(signals.Freeze())

    def thaw(self) -> None:
        self._tell_all(signals.Thaw())

    def give_back(self, text: str) -> None:
        self._tell_all(signals.GiveBack(text))

    def _tell_all(self, order: signals.Input) -> None:
        for runner in list(self._runners.values()):
            runner.order(order)

    # --- the end, and the beginning after a crash

    def stop(self) -> None:
        """Containers are killed, what is unfinished is given back."""
        self.open = False
        for runner in list(self._runners.values()):
            runner.order(signals.Stopping())

    def recover(self) -> int:
        """Takes up attempts of a former run: their containers are gone, their finished frames are delivered. How many."""
        if not self._place.journal.belong_to(self._place.agent):
            log.warning("this machine was enrolled anew: what it was given under its former id is forgotten")
        found = list(self._place.journal.remembered())
        for past in found:
            self._recover(past)
        known = set(self._runners)
        for folder in self._place.folders.spool.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        return len(found)

    def _recover(self, past: Remembered) -> None:
        attempt = past.assignment.grant.attempt
        if past.seconds_left <= 0 or (past.ended and not past.frames):
            self._place.journal.forget(attempt)
            return
        now = self._place.now()
        paths = {held[0].frame: self._place.folders.picture(attempt, held[0].frame) for held in past.frames}
        frames = [held for held in past.frames if paths[held[0].frame].is_file()]
        self._place.folders.clear_spool(attempt, frozenset(paths.values()))
        taken_up = machine.take_up(past.assignment, frames, past.ended, now, now + past.seconds_left, past.surveyed)
        self._hold(self._runner(taken_up, past.trace))
