"""The world around the scheduler: a wire, a store, billing, renters, and the machines."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from contracts.events import (
    AgentPulse,
    AttemptCancelled,
    AttemptVoid,
    ChunkAssigned,
    CreditsHeld,
    DepositHeld,
    Event,
    FramesStored,
    FramesSuperfluous,
    JobEstimated,
    JobFailed,
    JobQuoted,
    JobRendered,
    JobSubmitted,
    StoredFrame,
)
from contracts.grants import Grant
from contracts.values import Feasibility, FrameRange, Limits
from services.chassis.delivery import Received
from services.chassis.verdicts import NotYet
from services.scheduler.dispatch import Dispatch
from services.scheduler.domain import agent as agents
from services.scheduler.domain.policy import Policy
from tests.sim.machine import UPLOAD, Machine
from tests.sim.office import Office
from tests.sim.setting import Nature, Order, Setting, natures, scene
from tests.sim.virtual import Time
from tests.unit.scheduler.builders import NOW, a_submission

HOUSE = Nature(2.0, 2.0, 1.0)
AGAIN = 1.0
"""Seconds until what came too early is tried again: the first rung of the ladder."""
HASH = "c" * 64


class World:
    """Implements machine.Wire. `accepted`, `ended`, `first`: job → second. `stored`: job → frame → attempt that was first."""

    def __init__(self, setting: Setting, policy: Policy | None = None, dispatch: type[Dispatch] = Dispatch) -> None:
        self.setting, self.time = setting, Time()
        self._chance = random.Random(f"wire {setting.seed}")
        self.office = Office(self.time, self._post, policy or Policy(), dispatch)
        self.orders = {order.job: order for order in setting.orders}
        self.costs = {order.job: order.costs or scene(setting, order) for order in setting.orders}
        named = {f"a{at:05d}": nature for at, nature in enumerate(setting.machines or natures(setting))}
        chance = random.Random(f"phases {setting.seed}")
        self.machines = {agent: Machine(agent, nature, self, chance) for agent, nature in {**named, "house": HOUSE}.items()}
        self.stored: dict[str, dict[int, str]] = {job: {} for job in self.orders}
        self.accepted, self.first, self.ended = dict[str, float](), dict[str, float](), dict[str, float]()
        self.outlooks = dict[str, Feasibility | None]()
        """What was said of each job's deadline."""
        self.failed = dict[str, str]()
        self.copies = 0.0
        """WU of frames that came second."""
        self.done = Counter[str]()
        """Job → micro-WU of its stored frames."""
        self.done_at_end = dict[str, dict[str, int]]()
        """Job → what all jobs had when it ended."""
        self._awaited = set[str]()
        """Jobs whose end is the world's."""
        self._arriving: dict[int, dict[type[Event], list[Received[Any]]]] = {}
        self._sent = 0

    async def run(self, until: Collection[str] = ()) -> None:
        """To the end of these jobs, or of all."""
        self._awaited = set(until or self.orders)
        for machine in self.machines.values():
            state, _ = agents.enrolled(machine.agent, f"owner-of-{machine.agent}", machine.agent, machine.agent == "house")
            await self.office.agents.add(state, ())
            machine.open()
        for order in self.setting.orders:
            self.time.at(order.at, _calling(self._submit, order))
        self.office.open()
        await self.time.run(self._awaited, self.setting.longest)

    # --- machine.Wire

    def work(self, job: str, frame: int) -> int:
        return self.costs[job][frame - 1]

    def say(self, event: Event, sender: str) -> None:
        weather = self.setting.weather
        if isinstance(event, AgentPulse) and self._chance.random() < weather.lost_pulses:
            return
        self._sent += 1
        received = Received(event, sender, f"m{self._sent}", 0, self.time.wall, {})
        self._arrive(received, self._delay())
        if self._chance.random() < weather.repeated:
            self._arrive(received, self._delay() + self._chance.expovariate(1.0))

    def deliver(self, grant: Grant, frame: int, cpu_micros: int, seconds: float) -> None:
        frame_kept = StoredFrame(
            frame=frame, file_sha256=HASH, pixel_sha256=HASH, bytes=1, cpu_micros=cpu_micros, seconds=seconds, key="k"
        )
        self.time.after(UPLOAD + self._delay(), lambda: self._store(grant, frame_kept))

    # --- the wire

    def _delay(self) -> float:
        return self._chance.expovariate(1.0) * self.setting.weather.latency

    def _arrive(self, received: Received[Any], delay: float) -> None:
        tick = int((self.time.seconds + delay) / self.setting.tick) + 1
        if tick not in self._arriving:
            self._arriving[tick] = defaultdict(list)
            self.time.at(tick * self.setting.tick, _calling(self._hear, tick))
        self._arriving[tick][type(received.event)].append(received)

    async def _hear(self, tick: int) -> None:
        for kind, batch in self._arriving.pop(tick).items():
            for received, wrong in zip(batch, await self.office.hear(kind, batch), strict=True):
                if isinstance(wrong, NotYet):
                    self._arrive(received, AGAIN)
                elif wrong is not None:
                    raise AssertionError(f"{received.sender} is blamed for {received.event!r}") from wrong

    def _post(self, event: Event) -> None:
        """What the scheduler says goes to mailboxes, to billing, and to who keeps the times."""
        if isinstance(event, ChunkAssigned | AttemptVoid | AttemptCancelled):
            self._mail(event)
        elif isinstance(event, JobEstimated):
            self._quote(event)
        elif isinstance(event, JobRendered | JobFailed):
            self.ended[event.job] = self.time.seconds
            self._awaited.discard(event.job)
            self.done_at_end[event.job] = dict(self.done)
            if isinstance(event, JobFailed):
                self.failed[event.job] = event.reason

    def _mail(self, event: Event) -> None:
        machine = self.machines[str(event.addressee)]
        if isinstance(event, ChunkAssigned) and event.grant.kind == "render":
            self.first.setdefault(event.grant.job, self.time.seconds)
        if self._chance.random() >= self.setting.weather.lost_mail:
            self.time.after(self._delay(), _calling(machine.read, event))

    # --- the other services

    def _submit(self, order: Order) -> None:
        limits = Limits() if order.deadline is None else Limits(deadline=NOW + timedelta(seconds=order.at + order.deadline))
        asked: JobSubmitted = a_submission(
            job=order.job, account=order.account, price_per_wu_micro=order.bid, limits=limits,
            frames=(FrameRange(first=1, last=order.frames),), bundle=random.Random(order.job).randbytes(32).hex(),
        )  # fmt: skip
        self.say(asked, "intake")
        self.say(DepositHeld(job=order.job, account=order.account, amount_micro=1, micro_wu_limit=10**15), "billing")

    def _quote(self, event: JobEstimated) -> None:
        """Quoted, accepted and held at once."""
        quoted = JobQuoted(
            job=event.job, account=event.account, version=event.version, price_micro=1, lines=(),
            micro_wu=event.micro_wu, seconds=event.seconds, expires_at=NOW + timedelta(days=30),
        )  # fmt: skip
        self.say(quoted, "billing")
        self.say(CreditsHeld(job=event.job, account=event.account, version=event.version, amount_micro=1), "billing")
        self.accepted[event.job] = self.time.seconds
        self.outlooks[event.job] = event.outlook.feasibility if event.outlook else None

    def _store(self, grant: Grant, kept: StoredFrame) -> None:
        """The first picture wins."""
        ids: dict[str, Any] = {
            "job": grant.job,
            "chunk": grant.chunk,
            "attempt": grant.attempt,
            "agent": grant.agent,
            "version": grant.version,
        }
        if self.stored[grant.job].setdefault(kept.frame, grant.attempt) != grant.attempt:
            self.copies += self.work(grant.job, kept.frame) / 1e6
            self.say(FramesSuperfluous(**ids, frames=(kept.frame,)), "storage")
        else:
            self.done[grant.job] += self.work(grant.job, kept.frame)
            told = FramesStored(**ids, kind=grant.kind, generation=grant.generation, frames=(kept,))
            self.say(told, "storage")


def _calling(what: Callable[..., Any], *with_: Any) -> Callable[[], Any]:
    return lambda: what(*with_)
