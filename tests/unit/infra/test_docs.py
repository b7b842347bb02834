"""docs/generated says what the code says."""

import yaml

from contracts.topology import BY_KEY, ROUTES, SERVICES, inbox
from infra.docs.__main__ import stale
from infra.docs.machines import machines
from infra.docs.pages import asyncapi_page, states_page


def test_nothing_generated_is_stale() -> None:
    assert stale() == [], "run `make docs`"


def test_asyncapi_knows_every_route_and_every_inbox() -> None:
    document = yaml.safe_load(asyncapi_page())
    assert set(document["channels"]) == set(BY_KEY)
    queues = {operation["x-queue"] for operation in document["operations"].values() if operation["action"] == "receive"}
    assert {inbox(service, r.event) for r in ROUTES for service in SERVICES if service in r.subscribers} <= queues
    senders = {name.split(".")[0] for name, operation in document["operations"].items() if operation["action"] == "send"}
    assert senders == {route.publisher for route in ROUTES}


def test_every_state_of_every_machine_is_drawn() -> None:
    page = states_page(machines())
    for table in machines().values():
        for state in table:
            assert str(getattr(state, "value", state)).replace("-", "_") in page
