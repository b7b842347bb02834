"""One function per event that the scheduler takes."""

from contracts.topology import SCHEDULER
from services.chassis.inbox import Inboxes
from services.scheduler.desk import Desk
from services.scheduler.handlers import agents, attempts, frames, jobs


def routes(desk: Desk) -> Inboxes:
    inboxes = Inboxes(SCHEDULER)
    for subject in (jobs, agents, attempts, frames):
        subject.register(inboxes, desk)
    return inboxes
