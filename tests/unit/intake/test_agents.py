"""A lender's orders to his machine, as intake counts them."""

import pytest

from contracts.events import AgentControlled, AgentOrder
from services.intake.domain.agents import Agent, controlled, obeys

MINE = Agent("ann", "Laptop", state="online")


def test_orders_are_counted_and_the_same_one_again_is_said_again() -> None:
    first, told = controlled("ann-1", MINE, AgentOrder.STOP, "ann")
    second, again = controlled("ann-1", first, AgentOrder.STOP, "operator")
    assert told == [AgentControlled(agent="ann-1", order=AgentOrder.STOP, revision=1, by="ann")]
    assert again == [AgentControlled(agent="ann-1", order=AgentOrder.STOP, revision=2, by="operator")]
    assert (second.order, second.order_revision) == (AgentOrder.STOP, 2)


def test_a_machine_that_is_leaving_gets_no_orders() -> None:
    for gone in (Agent("ann", leaving=True), Agent("ann", revoked=True)):
        assert controlled("ann-1", gone, AgentOrder.ENABLE, "ann") == (gone, [])


@pytest.mark.parametrize(
    ("order", "state", "done"),
    [
        (AgentOrder.DRAIN, "online", False),
        (AgentOrder.DRAIN, "draining", True),
        (AgentOrder.DISABLE, "draining", False),
        (AgentOrder.DISABLE, "suspended", True),
        (AgentOrder.ENABLE, "suspended", False),
        (AgentOrder.ENABLE, "offline", True),
        (AgentOrder.STOP, "enrolled", True),
        (AgentOrder.STOP, "quarantined", True),
    ],
)
def test_an_order_is_obeyed_when_the_scheduler_says_so(order: AgentOrder, state: str, done: bool) -> None:
    assert obeys(Agent("ann", state=state, order=order)) is done
