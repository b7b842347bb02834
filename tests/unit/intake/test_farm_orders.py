"""What the operator orders the whole farm."""

from contracts.events import Event, FarmControlled, FarmOrder
from services.intake.domain import farm
from services.intake.domain.farm import Farm
from tests.unit.intake.test_projections import NOW


def test_each_order_to_the_farm_counts_one_more_also_the_same_again() -> None:
    known: Farm | None = None
    told = list[Event]()
    for order in (FarmOrder.STOP, FarmOrder.STOP, FarmOrder.RESUME):
        known, events = farm.ordered(known, order, "operator", NOW)
        told += events
    said = [(one.order, one.revision) for one in told if isinstance(one, FarmControlled)]
    assert said == [
        ("stop", 1),
        ("stop", 2),
        ("resume", 3),
    ]


def test_a_farm_that_is_not_at_work_says_so_on_jobs_it_would_work_on() -> None:
    stopped, _ = farm.ordered(None, FarmOrder.STOP, "operator", NOW)
    assert "stopped by its operator" in farm.reason(stopped, "rendering", "agents are rendering")
    assert farm.reason(stopped, "completed", "ready") == "ready"
    assert farm.reason(Farm(), "rendering", "agents are rendering") == "agents are rendering"
