"""A small farm around the scheduler: agents that render, lose power and forget, a store that takes the first picture, and a
network that delays, repeats and reorders everything and loses what may be lost."""

from collections.abc import Collection
from datetime import timedelta

from contracts.bus import new_id
from contracts.events import (
    Action,
    AttemptCancelled,
    AttemptVoid,
    ChunkAssigned,
    ChunkCompleted,
    ChunkFailed,
    ChunkReleased,
    CreditsHeld,
    DepositHeld,
    Event,
    FarmChanged,
    FarmControlled,
    FarmOrder,
    Fault,
    InspectionReported,
    JobControlled,
    JobEstimated,
    ProbeMeasured,
    Release,
)
from contracts.grants import Grant
from contracts.values import Kind, frames
from services.chassis.verdicts import NotYet, SenderFault
from services.scheduler.domain import agent as agents
from services.scheduler.domain.chunk import FORMER
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import ENDED, HELD_CHUNK, JobState
from tests.unit.scheduler.builders import NOW, WU, a_submission, some_facts
from tests.unit.scheduler.machines import Machine, Message, a_quote, rejected, stored, superfluous
from tests.unit.scheduler.memory import Died
from tests.unit.scheduler.office import Office

ROUNDS = 400
MENDED = timedelta(seconds=70)
"""After so long a death between two writes has left no trace."""


class Farm:
    """One job of `last` frames. `wire` holds what was said and has not arrived."""

    def __init__(self, office: Office, last: int) -> None:
        self.office, self.last = office, last
        self.machines = [Machine("house", 1), Machine("ann", 1), Machine("bob", 2)]
        self.wire: list[Message] = []
        self.stored: dict[int, str] = {}
        """Frame → attempt whose picture was first."""
        self.given: dict[str, tuple[str, str]] = {}
        """Attempt → agent, chunk."""
        self.gone: set[str] = set()
        self.failed_on: set[str] = set()
        """Agents that said an attempt of theirs failed."""
        self.revision = self.farm_revision = self._heard = 0

    async def open(self) -> None:
        for machine in self.machines:
            house = machine.agent == "house"
            state, _ = agents.enrolled(machine.agent, f"owner-of-{machine.agent}", machine.agent, house)
            await self.office.agents.add(state, ())
            self.say(machine.ready(), machine.agent)
        asked = a_submission()
        self.say(asked, "intake")
        self.say(DepositHeld(job="job", account="ada", amount_micro=1, micro_wu_limit=1), "billing")

    def say(self, event: Event, sender: str) -> None:
        self.wire.append(Message(event, sender))

    # --- what the scheduler says

    async def listen(self) -> None:
        """Moves what was told to mailboxes and to billing, which quotes at once and is paid at once."""
        told, self._heard = self.office.told[self._heard :], len(self.office.told)
        for event in told:
            if isinstance(event, ChunkAssigned | AttemptVoid | AttemptCancelled | FarmChanged):
                next(one for one in self.machines if one.agent == event.addressee).mailbox.append(event)
            if isinstance(event, ChunkAssigned):
                now = event.grant.agent, event.grant.chunk
                assert self.given.setdefault(event.grant.attempt, now) == now, "an attempt is given to one agent"
            if isinstance(event, JobEstimated):
                self.say(a_quote(event), "billing")
                self.say(CreditsHeld(job="job", account="ada", version=event.version, amount_micro=1), "billing")

    # --- one step of the world

    def pick(self, kind: str, who: int) -> Machine:
        """One of the machines for which this step means something, if there are such."""
        there = [one for one in self.machines if one.agent not in self.gone]
        able = [one for one in there if (one.mailbox if kind in ("read", "lose mail") else one.left)]
        among = able if able and kind != "silence" else there
        return among[who % len(among)]

    async def deliver(self, at: int, repeat: bool = False) -> None:
        """Any message may be next; it may come again later."""
        if not self.wire:
            return
        message = self.wire[at % len(self.wire)]
        if not repeat:
            self.wire.remove(message)
        try:
            await self.office.hear(message.event, message.sender, message.id)
        except NotYet:
            if not repeat:
                self.wire.append(message)
        except Died:
            self.wire.append(message)
            await self.office.reborn()
        except SenderFault as wrong:
            raise AssertionError(f"an honest {message.sender} was blamed for {message.event!r}: {wrong}") from wrong
        await self.listen()

    def read_mail(self, machine: Machine, lose: bool = False) -> None:
        if not machine.mailbox:
            return
        event = machine.mailbox.pop(0)
        if lose:
            return
        if isinstance(event, ChunkAssigned):
            self._take(machine, event)
        elif isinstance(event, FarmChanged) and event.order is FarmOrder.STOP and machine.left:
            machine.left.clear()
            self.say(machine.ready(), machine.agent)
        elif isinstance(event, AttemptVoid | AttemptCancelled) and event.attempt in machine.left:
            del machine.left[event.attempt]
            self.say(machine.ready(), machine.agent)

    def _take(self, machine: Machine, event: ChunkAssigned) -> None:
        grant = event.grant
        if grant.attempt in machine.assigned:
            return
        machine.assigned[grant.attempt] = event
        if len(machine.left) >= machine.slots:
            self.say(ChunkReleased(**machine.ids(grant.attempt), reason=Release.REFUSED), machine.agent)
            self.say(machine.ready(), machine.agent)
        else:
            machine.left[grant.attempt] = list(frames(grant.frames))

    def work(self, machine: Machine) -> None:
        """One frame of one attempt, or the end of it."""
        attempt = next(iter(machine.left), None)
        if attempt is None:
            return
        grant = machine.assigned[attempt].grant
        if grant.kind is Kind.INSPECT:
            self.say(InspectionReported(grant=grant, facts=some_facts(frame_end=self.last), cpu_micros=WU), machine.agent)
        elif grant.kind is Kind.PROBE:
            self.say(ProbeMeasured(grant=grant, frame=machine.left[attempt][0], scale_percent=50, cpu_micros=WU), machine.agent)
        elif machine.left[attempt]:
            self.say(self._store(grant, machine.left[attempt].pop(0)), "storage")
            return
        del machine.left[attempt]
        self.say(ChunkCompleted(**machine.ids(attempt)), machine.agent)

    def _store(self, grant: Grant, frame: int) -> Event:
        return (stored if self.stored.setdefault(frame, grant.attempt) == grant.attempt else superfluous)(grant, frame)

    def fail(self, machine: Machine, fault: Fault) -> None:
        attempt = next(iter(machine.left), None)
        if attempt is not None:
            frame = next(iter(machine.left.pop(attempt)), None)
            self.say(ChunkFailed(**machine.ids(attempt), fault=fault, frame=frame, text="broke"), machine.agent)
            self.failed_on.add(machine.agent)
            self.say(machine.ready(), machine.agent)

    def reject(self, machine: Machine) -> None:
        """The store does not take the picture; the attempt goes on without it."""
        for attempt, left in machine.left.items():
            grant = machine.assigned[attempt].grant
            if left and grant.kind in (Kind.SAMPLE, Kind.RENDER):
                self.say(rejected(grant, left.pop(0)), "storage")
                self.failed_on.add(machine.agent)
                return

    def release(self, machine: Machine) -> None:
        attempt = next(iter(machine.left), None)
        if attempt is not None:
            del machine.left[attempt]
            self.say(ChunkReleased(**machine.ids(attempt), reason=Release.STOPPED), machine.agent)
            self.say(machine.ready(), machine.agent)

    def crash(self, machine: Machine) -> None:
        """Power off and on: everything in hand is forgotten."""
        machine.left.clear()
        machine.run = new_id()
        self.say(machine.ready(), machine.agent)

    def die(self, steps: int) -> None:
        """The scheduler's process ends at one of its next writes or words; another takes over."""
        self.office.dies_in = steps

    def forget(self, machine: Machine) -> None:
        """Our agent's mistake: an attempt is dropped without a word."""
        if machine.left:
            machine.left.popitem()

    def boast(self, machine: Machine) -> None:
        """A lie, or an upload lost: said to be done, and frames are missing."""
        attempt = next(iter(machine.left), None)
        if attempt is not None:
            del machine.left[attempt]
            self.say(ChunkCompleted(**machine.ids(attempt)), machine.agent)

    def leave(self) -> None:
        """A lender switches his machine off for good."""
        self.gone.add("ann")

    async def pulse(self, machine: Machine) -> None:
        if machine.agent in self.gone:
            return
        try:
            await self.office.hear(machine.pulse(), machine.agent)
        except Died:
            await self.office.reborn()
        await self.listen()

    async def pass_time(self, seconds: float, silent: Machine | None = None) -> None:
        """Agents pulse and read their mail every ten seconds, all but the silent one."""
        while seconds > 0:
            self.office.clock.pass_by(min(seconds, 10))
            for machine in self.machines:
                if machine is not silent and machine.agent not in self.gone:
                    self.read_mail(machine)
                    await self.pulse(machine)
            try:
                await self.office.sweep()
            except Died:
                await self.office.reborn()
            await self.listen()
            seconds -= 10

    def control(self, action: Action) -> None:
        self.revision += 1
        self.say(JobControlled(job="job", account="ada", revision=self.revision, action=action, by="ada"), "intake")

    def control_farm(self, order: FarmOrder) -> None:
        self.farm_revision += 1
        self.say(FarmControlled(order=order, revision=self.farm_revision, by="operator", at=NOW), "intake")

    # --- to the end

    async def run_down(self, until: Collection[JobState] = ENDED) -> None:
        """From here on nothing goes wrong; the job must end (or come to one of these states)."""
        for _ in range(ROUNDS):
            if self.office.jobs.store.states and self.office.job().state in until:
                return
            while self.wire and any([await self._delivers() for _ in range(len(self.wire))]):
                pass
            await self._one_round()
        raise AssertionError(f"the job did not end: {self.office.job()}\n{self.office.all_chunks()}\n{self.office.all_agents()}")

    async def settle(self) -> None:
        """What is still on its way arrives and has its effect."""
        for _ in range(20):
            while self.wire and any([await self._delivers() for _ in range(len(self.wire))]):
                pass
            await self._one_round()

    async def _one_round(self) -> None:
        for machine in [one for one in self.machines if one.agent not in self.gone]:
            while machine.mailbox:
                self.read_mail(machine)
            while machine.left:
                self.work(machine)
        await self.pass_time(5)
        self.check()

    async def _delivers(self) -> bool:
        """True when the message did not come back as not yet."""
        before = len(self.wire)
        await self.deliver(0)
        return len(self.wire) != before

    def check(self) -> None:
        """What holds at every moment."""
        holders = [chunk.holder.attempt for chunk in self.office.all_chunks() if chunk.holder is not None]
        assert len(holders) == len(set(holders))
        for chunk in self.office.all_chunks():
            known = {one.attempt for one in (chunk.holder, *chunk.former) if one is not None}
            given = {attempt for attempt, (_, id) in self.given.items() if id == chunk.chunk}
            assert given <= known or len(chunk.former) == FORMER, "no lease is held twice: who got it has it or had it"
        assert all((chunk.holder is not None) == (chunk.state in HELD_CHUNK) for chunk in self.office.all_chunks())
        for agent in self.office.all_agents():
            assert len(agent.hands) <= max(agent.slots, 2), f"{agent.agent} is booked beyond its slots: {agent}"
            assert len({hand.attempt for hand in agent.hands}) == len(agent.hands)
        hands = {hand.attempt for agent in self.office.all_agents() for hand in agent.hands}
        at_work = {one.holder.attempt for one in self.office.all_chunks() if one.holder and one.holder.done_at is None}
        is_mended = self.office.clock.at - self.office.died_at > MENDED
        assert at_work <= hands or not is_mended, "an attempt under way has a slot"
        told = {frame for chunk in self.office.all_chunks() for one in chunk.deliveries for frame in frames(one.frames)}
        assert told <= set(self.stored), "no frame counts that the store does not have"


SHORT = Policy(chunk=3)
"""Chunks of three frames at 1 WU a frame."""
