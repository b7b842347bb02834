"""Which jobs' queued chunks are looked at, when there are more of them than one look can take in.

Theory. What waits longest may be what nobody may take: chunks for lenders who are not there, for more memory than there is.
If the oldest were all that is seen, a few hundred of those would hide everybody else's. So no job shows more than its share of a
page; jobs that some idle agent could take come first, and the others in turn, so that whatever this overlooks is seen in time.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import islice

from services.scheduler.domain.agent import Agent, free_slots
from services.scheduler.domain.matching import Board
from services.scheduler.domain.states import JobState

JOBS = 40
"""On one page."""
IN_TURN = 10
"""Of those, at least so many whose turn it is, whoever could take them."""
LOOKED_AT = 1_000
"""Jobs that are asked after: two milliseconds for each idle agent."""
ASKED = 8
"""Idle agents that are."""
BY_HOUSE = frozenset({JobState.INSPECTING, JobState.ESTIMATING})


def page(jobs: Sequence[str], after: str, could_take: Callable[[str], bool]) -> tuple[list[str], str]:
    """Of these jobs, in order of their names; and where the next page goes on."""
    start = bisect_right(jobs, after)
    in_turn = [*jobs[start:], *jobs[:start]]
    wanted = list(islice(filter(could_take, in_turn[:LOOKED_AT]), JOBS - IN_TURN))
    named = set(wanted)
    others = list(islice((job for job in in_turn if job not in named), JOBS - len(wanted)))
    return wanted + others, others[-1] if others else after


def could_take(board: Board) -> Callable[[str], bool]:
    """Whether some idle agent could have work of a job; where none is idle, some agent at all. A guess: few agents are asked."""
    idle = [agent for agent in board.fleet if free_slots(agent)] or list(board.fleet)
    lenders = [agent for agent in idle if not agent.house][:ASKED]
    has_house = any(agent.house for agent in idle)

    def guess(job: str) -> bool:
        known = board.jobs[job]
        return (has_house and known.state in BY_HOUSE) or any(_able(board, agent, job) for agent in lenders)

    return guess


def _able(board: Board, agent: Agent, job: str) -> bool:
    return board.able(agent, board.jobs[job], None)
