"""What quotes were worth: measured work is noted as frames are stored, and folded into the quotes' documents now and then. The
renter of a job that has left its quote is asked again.

A quote whose frames are not all measured counts as well, once it is superseded or its job over: those are the worst ones.
What is noted and not yet folded dies with the process, and not otherwise; a fact told twice may count twice. Ratios bear both,
money is elsewhere.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping

import structlog

from contracts.events import FramesStored, JobQuoted
from contracts.values import Kind
from contracts.work import work
from services.chassis import traces
from services.chassis.repository import Unknown
from services.scheduler import metrics
from services.scheduler.dispatch import Dispatch
from services.scheduler.domain import drift
from services.scheduler.domain import job as jobs
from services.scheduler.domain import quotes as domain
from services.scheduler.domain.agent import Agent, benchmark_of
from services.scheduler.domain.curves import PPM
from services.scheduler.domain.deadlines import judged
from services.scheduler.domain.job import Decided, Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.quotes import Quote
from services.scheduler.folding import kept_while_away, one_by_one
from services.scheduler.repository import Agents, Jobs, Quotes

log = structlog.get_logger()

Shown = list[tuple[int, int]]
"""(frame, CPU microseconds)."""
Key = tuple[str, int]
"""(job, version)."""


class Quoting:
    def __init__(self, jobs: Jobs, agents: Agents, quotes: Quotes, policy: Policy, dispatch: Dispatch) -> None:
        self._jobs, self._agents, self._quotes, self._policy, self._dispatch = jobs, agents, quotes, policy, dispatch
        self._shown: dict[Key, dict[str, Shown]] = defaultdict(lambda: defaultdict(list))
        self._over: set[Key] = set()

    async def made(self, job: Job, event: JobQuoted) -> None:
        """A firm price is kept with the curve it was made from, accepted or not."""
        quote = domain.made(job, event.price_micro, await self._agents.now())
        if quote is not None and job.version == event.version:
            await self._quotes.keep(quote)

    def note(self, event: FramesStored) -> None:
        if event.kind is Kind.RENDER:
            shown = self._shown[event.job, event.version][event.agent]
            shown += [(one.frame, one.cpu_micros) for one in event.frames if one.cpu_micros > 0]

    def over(self, job: Job) -> None:
        """The job has come to an end, with all frames of its quote or without."""
        if jobs.is_over(job) and job.version:
            self._over.add((job.job, job.version))

    async def fold(self) -> None:
        await one_by_one(self._shown, self._fold_one)
        await one_by_one(self._over, self._fold_over)

    async def _fold_one(self, key: Key) -> None:
        taken = self._shown.pop(key)
        with kept_while_away(lambda: self._put_back(key, taken)):
            agents = await self._agents.read_many(taken)
            shown = [_by_owner(agents[one].state, frames) for one, frames in taken.items() if one in agents]
            quote = await self._told_once(*key, lambda quote: domain.all_shown(quote, shown))
        if quote is not None and drift.is_suspect(quote, self._policy):
            with kept_while_away(lambda: self._put_back(key, {})):  # nothing is added by it, and its renter is still to be asked
                await self._ask(quote)

    def _put_back(self, key: Key, taken: Mapping[str, Shown]) -> None:
        noted = self._shown[key]
        for agent, shown in taken.items():
            noted[agent] = shown + noted[agent]

    async def _fold_over(self, key: Key) -> None:
        self._over.remove(key)
        with kept_while_away(lambda: self._over.add(key)):
            await self._told_once(*key, domain.over)

    async def _told_once(self, job: str, version: int, change: Callable[[Quote], Quote]) -> Quote | None:
        """What became of a quote goes into the metrics when nothing is to come, once."""
        was_told = False

        def decide(quote: Quote, _: object) -> tuple[Quote, tuple[()]]:
            nonlocal was_told
            was_told = quote.is_told
            return change(quote), ()

        try:
            quote = await self._quotes.update(job, version, decide)
        except Unknown:
            return None  # quoted before quotes were kept
        if quote.is_told and not was_told:
            _told(quote)
        return quote

    async def _ask(self, quote: Quote) -> None:
        known = await self._jobs.get(quote.job)
        if known is None:
            return
        board, before = await self._dispatch.board(), known.version

        def decide(job: Job, _: object) -> Decided:
            nonlocal before
            before = job.version
            after, events = drift.requoted(job, quote, self._policy, board.speed(job))
            return judged((after, events), board.speed(after), board.everybody(), board.now, self._policy)

        with traces.under(known.trace):
            after = await self._jobs.update(quote.job, decide)
        if after.version > before:
            metrics.REQUOTES.inc()
            self._over.add((quote.job, quote.version))
            log.warning("quote left its band", job=quote.job, version=quote.version, reason=after.reason)


def _by_owner(agent: Agent, shown: Shown) -> tuple[str, bool, list[tuple[int, int]]]:
    return agent.owner, agent.house, [(frame, work(cpu, benchmark_of(agent))) for frame, cpu in shown]


def _told(quote: Quote) -> None:
    error, measured = domain.error_ppm(quote) or 0, "complete" if quote.is_complete else "partial"
    metrics.QUOTE_ERROR.labels(measured).observe(abs(error) / PPM)
    metrics.QUOTES_MEASURED.labels("inside" if domain.is_in_band(quote) else "outside", measured).inc()
    log.info("quote measured", job=quote.job, version=quote.version, error_percent=round(error * 100 / PPM, 1), measured=measured)
