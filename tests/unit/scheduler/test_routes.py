"""The scheduler takes exactly what ROUTES says it subscribes to."""

from contracts.topology import ROUTES, SCHEDULER
from services.scheduler.handlers import routes
from tests.unit.scheduler.office import Office


async def test_every_event_routed_to_the_scheduler_has_a_handler_and_hot_ones_are_taken_in_batches() -> None:
    office = Office()
    inboxes = routes(office.desk, office.gate, office.quarantine, office.halting, office.choosing)
    assert inboxes.taken == {row.event for row in ROUTES if SCHEDULER in row.subscribers}
    hot = {row.event for row in ROUTES if SCHEDULER in row.subscribers and row.hot}
    assert {row.event for row, _, most in inboxes.batches if most > 1} == hot
