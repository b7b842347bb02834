"""One function per event that the scheduler takes."""

from contracts.topology import SCHEDULER
from services.chassis.inbox import Inboxes
from services.scheduler.desk import Desk
from services.scheduler.gate import Gate
from services.scheduler.handlers import agents, attempts, frames, jobs, lenders


def routes(desk: Desk, gate: Gate) -> Inboxes:
    inboxes = Inboxes(SCHEDULER)
    for subject in (jobs, agents, attempts, frames):
        subject.register(inboxes, desk)
    lenders.register(inboxes, desk, gate)
    return inboxes
