"""Asks lenders who choose by hand, hears their answers, and lets matching know of them (domain.choosing says what and why).

Every step may be repeated: the handler does it at once, the sweep does it again for what a crash left.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from contracts.events import OfferAnswered
from services.chassis.repository import Decide, Unknown
from services.chassis.verdicts import NotYet, SenderFault
from services.scheduler import metrics
from services.scheduler.desk import Desk
from services.scheduler.domain import choosing as domain
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.choosing import Choice, Facts
from services.scheduler.domain.job import Job, bid, is_over
from services.scheduler.domain.matching import Board
from services.scheduler.domain.states import ChoiceState
from services.scheduler.repository import Choices

log = structlog.get_logger()

MOST_LOOKED_AT = 200
"""Jobs, the best paid first: what a sweep costs is bounded by this times the machines that choose by hand."""
KEPT = timedelta(days=1)
"""Beyond any message that may still speak of it."""


class Choosing:
    def __init__(self, desk: Desk, choices: Choices) -> None:
        self._desk, self._choices = desk, choices
        self._aligning = asyncio.Lock()

    async def answered(self, said: OfferAnswered) -> None:
        """Raises SenderFault for machines that are not this lender's, NotYet for an offer that is not known yet."""
        named = await self._desk.agents.read_many(said.agents)
        if any(agent not in named or named[agent].state.owner != said.owner for agent in said.agents):
            raise SenderFault(f"{said.owner} answers for machines that are not his")
        choice = await self._taken_over(said)
        if choice is None:
            return
        asked = await self._desk.agents.read_many({*choice.facts.agents, *said.agents})
        heard = domain.choosers(await self._desk.dispatch.board()).get(said.owner, [])
        agents = {agent.agent: agent for agent in (*(one.state for one in asked.values()), *heard)}
        if await self._align(said.owner, list(agents.values())):
            await self._desk.dispatch.look()

    async def _taken_over(self, said: OfferAnswered) -> Choice | None:
        """None for a job that is over and forgotten."""
        try:
            id = domain.id_of(said.owner, said.job)
            choice = await self._choices.update(id, lambda state, _: (domain.answered(state, said), []))
        except Unknown:
            job = await self._desk.jobs.get(said.job)
            if job is not None and is_over(job):
                return None
            raise NotYet(f"{said.owner} was not asked about job {said.job} yet") from None
        if choice.answer == said.revision:
            metrics.OFFERS.labels(choice.state).inc()
            log.info("offer answered", job=said.job, owner=said.owner, accepted=said.accepted, agents=said.agents)
        return choice

    async def sweep(self) -> None:
        board = await self._desk.dispatch.board()
        choosers, standing = domain.choosers(board), await self._choices.standing()
        metrics.OFFERS_OPEN.set(sum(one.state is ChoiceState.ASKED for one in standing))
        if not choosers and not standing:
            return
        mine: dict[str, list[Choice]] = defaultdict(list)
        for choice in standing:
            mine[choice.owner].append(choice)
        best = sorted(filter(domain.is_offered, board.jobs.values()), key=lambda job: (-bid(job), job.created_at))
        for owner, agents in choosers.items():
            await self._ask(board, owner, agents, best[:MOST_LOOKED_AT], mine[owner])
        await self._end(standing, board)
        if await self._in_line(choosers, mine):
            await self._desk.dispatch.look()
        await self._choices.forget(board.now - KEPT)

    async def _ask(self, board: Board, owner: str, agents: Sequence[Agent], best: Sequence[Job], known: Sequence[Choice]) -> None:
        facts = _facts(board, [domain.unasked(agent) for agent in agents], best, known)
        for choice in known:
            if choice.job in facts and domain.known_better(choice, facts[choice.job])[1]:
                await self._choices.update(choice.id, _told_again(facts[choice.job]))
        for job in domain.selected([board.jobs[id] for id in facts], known):
            choice, events = domain.asked(owner, job.job, facts[job.job])
            if not await self._choices.add((choice, events)):
                await self._choices.update(choice.id, _asked_again(choice.facts))
            metrics.OFFERS.labels(ChoiceState.ASKED).inc()
            log.info("job offered", job=job.job, owner=owner)

    async def _end(self, standing: Sequence[Choice], board: Board) -> None:
        gone = {choice.job for choice in standing} - board.jobs.keys()
        found = await self._desk.jobs.get_many(gone) if gone else {}
        for choice in standing:
            job = found.get(choice.job)
            if job is not None and is_over(job):
                await self._choices.update(choice.id, _ended(job.reason))
                metrics.OFFERS.labels(ChoiceState.OVER).inc()

    async def _in_line(self, choosers: dict[str, list[Agent]], standing: dict[str, list[Choice]]) -> bool:
        """Whether matching has something new to know. What looks wrong is read again before it is mended: an answer may have
        come in between."""
        is_news = False
        for owner, agents in choosers.items():
            wrong = [agent for agent in agents if domain.chosen(agent, standing[owner]) != agent.chosen]
            is_news |= bool(wrong) and await self._align(owner, wrong)
        return is_news

    async def _align(self, owner: str, agents: Sequence[Agent]) -> bool:
        """One at a time in this process, so that an older reading never undoes a later answer."""
        async with self._aligning:
            choices, is_news = await self._choices.accepted(owner), False
            for agent in agents:
                yes = domain.chosen(agent, choices)
                if yes != agent.chosen:
                    await self._desk.agents.update(agent.agent, _choosing(yes))
                    is_news = True
        if is_news:
            self._desk.dispatch.stale()
        return is_news


def _facts(board: Board, free: Sequence[Agent], best: Sequence[Job], known: Sequence[Choice]) -> dict[str, Facts]:
    """Of every job that one of these machines could take."""
    jobs = {job.job: job for job in best} | {one.job: board.jobs[one.job] for one in known if one.job in board.jobs}
    could = {id: domain.could_take(board, free, job) for id, job in jobs.items() if domain.is_offered(job)}
    return {id: domain.facts_of(jobs[id], agents) for id, agents in could.items() if agents}


def _asked_again(facts: Facts) -> Decide[Choice]:
    return lambda choice, _: domain.asked_again(choice, facts)


def _told_again(facts: Facts) -> Decide[Choice]:
    return lambda choice, _: domain.known_better(choice, facts)


def _ended(reason: str) -> Decide[Choice]:
    def decide(choice: Choice, now: datetime) -> domain.Decided:
        return domain.over(choice, reason or "the job has ended", now)

    return decide


def _choosing(yes: tuple[str, ...]) -> Decide[Agent]:
    return lambda agent, _: (replace(agent, chosen=yes), [])
