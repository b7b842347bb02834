"""One function per event that the scheduler takes."""

from contracts.topology import SCHEDULER
from services.chassis.inbox import Inboxes
from services.scheduler.desk import Desk
from services.scheduler.gate import Gate
from services.scheduler.handlers import agents, attempts, conduct, frames, jobs, lenders, resources
from services.scheduler.quarantine import Quarantine


def routes(desk: Desk, gate: Gate, quarantine: Quarantine) -> Inboxes:
    inboxes = Inboxes(SCHEDULER)
    for subject in (jobs, agents, attempts, frames, resources):
        subject.register(inboxes, desk)
    lenders.register(inboxes, desk, gate, quarantine)
    conduct.register(inboxes, quarantine)
    return inboxes
