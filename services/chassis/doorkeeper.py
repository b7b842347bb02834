"""Looks at each message of an agent as it arrives, before anything is read of it: who is shut out or says too much is not heard.

Inboxes are shared by all agents, so what one floods them with stands before everybody else's. Here a message costs a look into a
table; it is dropped with an ack, without parsing, database or parking. Who passes the limits is reported once a minute; the
scheduler alone decides what becomes of it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from contracts.topology import AGENT, AGENTS, Route
from services.chassis import metrics
from services.chassis.arrivals import Message
from services.chassis.conduct import Conduct, Limits, Offence, as_of, erred, is_forgotten, offence, spoke
from services.chassis.delivery import speaker

log = structlog.get_logger()

REPORT_SECONDS = 60.0
HOLD_SECONDS = 2.0
DEAF_SECONDS = 30.0
"""How long after a silence of ours what comes counts as what has waited."""
SHUT = frozenset({"quarantined", "revoked"})
"""States of agents, as the scheduler tells them, in which nothing they say counts."""


@dataclass(frozen=True)
class Misconduct:
    """What is reported of an agent; `count` is how much it has said, or how much of that was faulty."""

    agent: str
    offence: Offence
    count: int


Report = Callable[[Misconduct], Awaitable[None]]


class Doorkeeper:
    """Of one service process. Without limits everybody is let in who is not shut out, and nobody is reported."""

    def __init__(self, service: str, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._service, self._limits, self._clock = service, limits, clock
        self._conduct: dict[str, Conduct] = {}
        self._shut: set[str] = set()
        self._reported: dict[str, float] = {}
        self._deaf_until = -1e9
        self._swept_at = clock()
        self._report: Report | None = None
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, asyncio.Event] = {}
        for why in ("shut out", *Offence):
            metrics.DROPPED.labels(service, why)

    @property
    def guards(self) -> bool:
        return self._limits is not None

    def reports_to(self, report: Report | None) -> None:
        self._report = report

    def shut(self, agents: Iterable[str]) -> None:
        """Nothing these say is heard any more."""
        for agent in agents:
            self._shut.add(agent)
            if agent in self._waiting:
                self._waiting[agent].set()

    def is_shut(self, agent: str) -> bool:
        return agent in self._shut

    def only(self, agents: Iterable[str]) -> None:
        """These and nobody else are not heard."""
        shut = set(agents)
        for agent in self._shut - shut:
            self.heed(agent, "released")
        self._shut = shut

    def heed(self, agent: str, state: str) -> None:
        """What the scheduler says of an agent."""
        if state in SHUT:
            self.shut([agent])
        else:
            self._shut.discard(agent)
            self._reported.pop(agent, None)

    def was_deaf(self) -> None:
        """We could not hear for a while; what has waited comes now."""
        self._deaf_until = self._clock() + DEAF_SECONDS

    def admits(self, message: Message, row: Route) -> bool:
        """False for a message to be dropped. Counts each message of an agent once, at its first delivery to this inbox."""
        if row.publisher != AGENT:
            return True
        who = speaker(message)
        if who in self._shut:
            return self._dropped("shut out")
        if self._limits is None or message.exchange != AGENTS:
            return True
        wrong = self._count(who, _size(message), self._limits)
        return wrong is None or self._dropped(wrong)

    def still_admits(self, message: Message, row: Route) -> bool:
        """Of a message that was let in and has waited since: False when its agent has gone too far in the meantime, and is still
        beyond its limits. What we have put on the ladder or an operator has replayed does not count."""
        if row.publisher != AGENT:
            return True
        who = speaker(message)
        if who in self._shut:
            return self._dropped("shut out")
        conduct = self._conduct.get(who)
        if self._limits is None or conduct is None or message.exchange != AGENTS:
            return True
        wrong = offence(as_of(conduct, self._clock(), self._limits), self._limits)
        return wrong is None or self._dropped(wrong)

    def erred(self, who: str, row: Route) -> None:
        """A message that was let in turned out to be its sender's fault."""
        if self._limits is None or row.publisher != AGENT or who in self._shut:
            return
        now = self._clock()
        self._conduct[who] = erred(self._conduct.get(who, Conduct(now)), now, self._limits)
        self._look_at(who, self._limits)

    def _count(self, who: str, size: int, limits: Limits) -> Offence | None:
        now = self._clock()
        if now - self._swept_at > REPORT_SECONDS:
            self._forget(now, limits)
        self._conduct[who] = spoke(self._conduct.get(who, Conduct(now)), size, now, limits, now < self._deaf_until)
        return self._look_at(who, limits)

    def _look_at(self, who: str, limits: Limits) -> Offence | None:
        conduct = self._conduct[who]
        wrong, now = offence(conduct, limits), self._clock()
        if wrong is not None and now - self._reported.get(who, -1e9) > REPORT_SECONDS:
            self._reported[who] = now
            count = conduct.faulty if wrong is Offence.FAULTS else conduct.said
            metrics.MISCONDUCT.labels(self._service, wrong).inc()
            log.warning("agent misbehaves", agent=who, what=wrong.value, count=count)
            self._tell(Misconduct(who, wrong, count))
        return wrong

    def _tell(self, misconduct: Misconduct) -> None:
        if self._report is None:
            return
        task = asyncio.get_running_loop().create_task(self._told(self._report, misconduct))
        self._telling[misconduct.agent] = task
        task.add_done_callback(lambda _: self._telling.pop(misconduct.agent, None))

    async def hold(self, agent: str) -> None:
        """Returns when the agent has been cut off, should that be under way. Until then what is dropped stays unanswered, so that
        the broker sends no more than was prefetched: throwing a flood away costs more than waiting for its end."""
        if (task := self._telling.get(agent)) is not None:
            await asyncio.wait({task}, timeout=HOLD_SECONDS)

    async def _told(self, report: Report, misconduct: Misconduct) -> None:
        """A report that fails is made again at the next message, a second later at the soonest."""
        try:
            await report(misconduct)
            await self._is_out(misconduct.agent)
        except Exception as problem:
            log.warning("misconduct not reported", agent=misconduct.agent, problem=repr(problem)[:300])
            self._reported[misconduct.agent] = self._clock() - REPORT_SECONDS + 1

    async def _is_out(self, agent: str) -> None:
        """Waits for the scheduler's word, where it was another that reported."""
        self._waiting[agent] = asyncio.Event()
        with suppress(TimeoutError):
            if agent not in self._shut:
                await asyncio.wait_for(self._waiting[agent].wait(), HOLD_SECONDS)
        self._waiting.pop(agent, None)

    def _forget(self, now: float, limits: Limits) -> None:
        self._swept_at = now
        self._conduct = {who: one for who, one in self._conduct.items() if not is_forgotten(one, now, limits)}
        self._reported = {who: at for who, at in self._reported.items() if now - at <= REPORT_SECONDS}

    def _dropped(self, why: str) -> bool:
        metrics.DROPPED.labels(self._service, why).inc()
        return False


def _size(message: Message) -> int:
    """Body and, about, headers, which may be as large as a frame."""
    return len(message.body) + (len(repr(message.headers)) if message.headers else 0)
