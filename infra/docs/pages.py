"""The generated pages, each a pure function from the code's own tables to text."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from contracts.events import Event
from contracts.topology import AGENT, EXCHANGES, ROUTES, SERVICES, Route, exchange, inbox
from infra.docs.growth import schemas

VHOST = "farm"
"""The farm's own; the broker's first one, `/`, stays empty."""
HEAD = "<!-- made by `make docs`; do not edit -->\n\n"


def events_page() -> str:
    """Every event: its sentence, who says it to whom, and what it carries."""
    rows = [_row(route) for route in ROUTES]
    table = "| event | says | from | to | kind |\n|---|---|---|---|---|\n" + "\n".join(rows)
    carried = "\n\n".join(_carries(route.event) for route in ROUTES)
    return (
        f"{HEAD}# Events\n\nFrom `contracts/topology.py` and `contracts/events`.\n\n{table}\n\n## What they carry\n\n{carried}\n"
    )


def _row(route: Route) -> str:
    kind = ", ".join(word for word, on in (("hot", route.hot), ("transient", route.transient)) if on) or "durable"
    to = ", ".join("mailbox" if one == AGENT else one for one in route.subscribers)
    name = route.event.__name__
    return f"| [`{name}`](#{name.lower()}) | {_sentence(route.event)} | {route.publisher} | {to} | {kind} |"


def _sentence(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split("\n\n")[0].split()).replace("|", "\\|")


def _carries(event: type[Event]) -> str:
    lines = [f"- `{name}`: {_type(field.annotation)}" for name, field in event.model_fields.items()]
    return f"### {event.__name__}\n\nKey `{event.key()}` on `{exchange(event)}`.\n\n" + "\n".join(lines)


def _type(annotation: Any) -> str:
    name = getattr(annotation, "__name__", None) if not getattr(annotation, "__args__", None) else None
    text = name or str(annotation)
    for prefix in ("contracts.values.", "contracts.events.", "contracts.grants.", "typing.", "datetime."):
        text = text.replace(prefix, "")
    return f"`{_short(text)}`"


def _short(text: str) -> str:
    """Without the bounds, which the schema files hold."""
    cut = text.find("FieldInfo(")
    return text if cut < 0 else text[:cut].rstrip(", [").replace("Annotated[", "")


def asyncapi_page() -> str:
    """AsyncAPI 3.0: one channel per routing key, one send operation per publisher, one receive operation per inbox."""
    bodies = schemas()
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {"title": "Framelend", "version": "1", "description": "Made from contracts/topology.py; do not edit."},
        "defaultContentType": "application/json",
        "channels": {route.event.key(): _channel(route) for route in ROUTES},
        "operations": _operations(),
        "components": {
            "messages": {
                route.event.__name__: {
                    "name": route.event.key(),
                    "summary": _sentence(route.event),
                    "payload": {
                        "schemaFormat": "application/schema+json;version=draft-2020-12",
                        "schema": bodies[route.event.key()],
                    },
                }
                for route in ROUTES
            }
        },
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=130)


def _channel(route: Route) -> dict[str, Any]:
    name, address = exchange(route.event), _address(route)
    where = {"name": name, "type": EXCHANGES[name], "durable": True, "vhost": VHOST}
    one_agent = {"parameters": {"agent": {"description": "The agent's id, which is its broker user."}}}
    return {
        "address": address,
        **(one_agent if "{agent}" in address else {}),
        "messages": {route.event.__name__: {"$ref": f"#/components/messages/{route.event.__name__}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": where}},
    }


def _address(route: Route) -> str:
    """The routing key, with a place for the agent who says it or to whose mailbox it goes."""
    if AGENT in route.subscribers:
        return "{agent}"
    return f"{{agent}}.{route.event.key()}" if route.publisher == AGENT else route.event.key()


def _operations() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for route in ROUTES:
        channel = {"$ref": f"#/channels/{route.event.key().replace('/', '~1')}"}
        found[f"{route.publisher}.says.{route.event.__name__}"] = {"action": "send", "channel": channel}
        for service in route.subscribers:
            queue = inbox(service, route.event) if service in SERVICES else "agent.{agent}"
            found[f"{service}.hears.{route.event.__name__}"] = {"action": "receive", "channel": channel, "x-queue": queue}
    return found


def states_page(machines: Mapping[str, Mapping[Any, Any]]) -> str:
    """Mermaid diagrams of literal transition tables: {(state, cause): state} or {state: {states}}."""
    parts = [f"## {name}\n\n```mermaid\nstateDiagram-v2\n{_arrows(table)}\n```" for name, table in machines.items()]
    return f"{HEAD}# States\n\nDrawn from the literal tables in each service's domain.\n\n" + "\n\n".join(parts) + "\n"


def _arrows(table: Mapping[Any, Any]) -> str:
    lines = []
    for key, value in table.items():
        if isinstance(key, tuple):
            lines.append(f"    {_word(key[0])} --> {_word(value)}: {_word(key[1])}")
        else:
            lines.extend(f"    {_word(key)} --> {_word(to)}" for to in sorted(value, key=_word))
    return "\n".join(lines)


def _word(value: Any) -> str:
    name = getattr(value, "value", value)
    return str(getattr(name, "__name__", name)).replace("-", "_")


def openapi_page() -> str:
    from services.intake.openapi import document

    return json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
