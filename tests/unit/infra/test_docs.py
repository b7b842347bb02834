"""docs/generated says what the code says."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.bus import Announcement
from contracts.grants import Grant
from contracts.topology import AGENT, BY_KEY, EXCHANGES, ROUTES, Route, exchange, inbox, mailbox
from infra.docs.__main__ import stale
from infra.docs.machines import machines
from infra.docs.pages import VHOST, asyncapi_page, states_page
from infra.local import farmfile
from infra.local.layout import Layout


def test_nothing_generated_is_stale() -> None:
    assert stale() == [], "run `make docs`"


@pytest.fixture(name="document", scope="module")
def the_asyncapi_document() -> dict[str, Any]:
    return dict(yaml.safe_load(asyncapi_page()))


def test_asyncapi_has_exactly_the_operations_of_the_routes(document: dict[str, Any]) -> None:
    """Each is (who, what it does, on which channel, from which queue)."""
    told = sorted(
        (name.split(".")[0], one["action"], one["channel"]["$ref"].removeprefix("#/channels/"), one.get("x-queue", ""))
        for name, one in document["operations"].items()
    )
    sent = [(row.publisher, "send", row.event.key(), "") for row in ROUTES]
    heard = [(who, "receive", row.event.key(), _queue(who, row)) for row in ROUTES for who in row.subscribers]
    assert told == sorted(sent + heard)


def _queue(who: str, row: Route) -> str:
    return mailbox("{agent}") if who == AGENT else inbox(who, row.event)


def test_asyncapi_has_exactly_the_channels_of_the_routes(document: dict[str, Any]) -> None:
    assert set(document["channels"]) == set(BY_KEY)
    for row in ROUTES:
        channel = document["channels"][row.event.key()]
        assert channel["address"] == _said_under(row)
        assert ("agent" in channel.get("parameters", {})) == ("{agent}" in channel["address"])
        assert set(channel["messages"]) == {row.event.__name__}
        name = exchange(row.event)
        where = {"name": name, "type": EXCHANGES[name], "durable": True, "vhost": "farm"}
        assert channel["bindings"]["amqp"] == {"is": "routingKey", "exchange": where}


def _said_under(row: Route) -> str:
    """The routing key it is really published under, by an agent, or to one."""
    whose: dict[str, Any] = {"agent": "{agent}"}
    said = row.event.model_construct(**whose, grant=Grant.model_construct(**whose))
    return Announcement(said).routing_key("{agent}" if row.publisher == AGENT else row.publisher)


def test_the_farm_really_lives_in_the_virtual_host_that_asyncapi_names(tmp_path: Path) -> None:
    assert farmfile.prepare(Layout(tmp_path), "unix:///nowhere")["FARM_VHOST"] == VHOST


def test_asyncapi_carries_the_schema_of_every_event(document: dict[str, Any]) -> None:
    carried = {name: message["payload"]["schema"] for name, message in document["components"]["messages"].items()}
    assert carried == {row.event.__name__: row.event.model_json_schema() for row in ROUTES}


def test_every_state_of_every_machine_is_drawn() -> None:
    page = states_page(machines())
    for table in machines().values():
        for state in table:
            assert str(getattr(state, "value", state)).replace("-", "_") in page
