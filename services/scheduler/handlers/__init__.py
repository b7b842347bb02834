"""One function per event that the scheduler takes."""

from contracts.topology import SCHEDULER
from services.chassis.inbox import Inboxes
from services.scheduler.choosing import Choosing
from services.scheduler.desk import Desk
from services.scheduler.gate import Gate
from services.scheduler.halting import Halting
from services.scheduler.handlers import agents, attempts, conduct, farm, frames, jobs, lenders, offers, resources, steering
from services.scheduler.quarantine import Quarantine


def routes(desk: Desk, gate: Gate, quarantine: Quarantine, halting: Halting, choosing: Choosing) -> Inboxes:
    inboxes = Inboxes(SCHEDULER, desk.shard.number)
    for subject in (jobs, steering, agents, attempts, frames, resources):
        subject.register(inboxes, desk)
    lenders.register(inboxes, desk, gate, quarantine)
    conduct.register(inboxes, quarantine)
    farm.register(inboxes, halting)
    offers.register(inboxes, choosing)
    return inboxes
