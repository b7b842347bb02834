"""Schemas only grow: an event already spoken may gain optional fields; anything else is a new class and key beside the old.

The record of what was promised lies in contracts/schemas/, one file per event. It is only replaced by a schema that keeps every
promise of the one before.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contracts.topology import ROUTES

RECORD = Path("contracts/schemas")
Schema = Mapping[str, Any]


def schemas() -> dict[str, dict[str, Any]]:
    """Routing key → JSON Schema of the body, for every event of ROUTES."""
    return {route.event.key(): route.event.model_json_schema() for route in ROUTES}


def recorded(folder: Path = RECORD) -> dict[str, dict[str, Any]]:
    return {path.name.removesuffix(".json"): json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def broken_promises(before: Schema, after: Schema, where: str = "") -> Iterator[str]:
    """What a reader or writer built on `before` would trip over under `after`."""
    yield from _fields(_resolved(before, before), _resolved(after, after), before, after, where)


def _fields(old: Schema, new: Schema, before: Schema, after: Schema, where: str) -> Iterator[str]:
    properties, now = old.get("properties", {}), new.get("properties", {})
    for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
        yield f"{where}{name} has become required"
    for name, kind in properties.items():
        if name not in now:
            yield f"{where}{name} is gone"
        else:
            yield from _kind(_resolved(kind, before), _resolved(now[name], after), before, after, f"{where}{name}")


def _kind(old: Schema, new: Schema, before: Schema, after: Schema, where: str) -> Iterator[str]:
    if "properties" in old:
        yield from _fields(old, new, before, after, f"{where}.")
    if old.get("type") != new.get("type") and "type" in old:
        yield f"{where} was {old.get('type')}, is {new.get('type')}"
    for value in old.get("enum", []):
        if value not in new.get("enum", [value]):
            yield f"{where} no longer knows {value!r}"
    yield from _bounds(old, new, where)
    if "items" in old and "items" in new:
        yield from _kind(_resolved(old["items"], before), _resolved(new["items"], after), before, after, f"{where}[]")
    if "anyOf" in old:
        yield from _alternatives(old, new, before, after, where)


def _alternatives(old: Schema, new: Schema, before: Schema, after: Schema, where: str) -> Iterator[str]:
    """Each alternative of before must still be one, unbroken."""
    offered = [_resolved(one, after) for one in new.get("anyOf", [new])]
    for one in (_resolved(one, before) for one in old["anyOf"]):
        if not any(not list(_kind(one, other, before, after, where)) for other in offered):
            yield f"{where} no longer takes {one.get('title', one.get('type'))}"


def _bounds(old: Schema, new: Schema, where: str) -> Iterator[str]:
    for upper in ("maximum", "maxLength", "maxItems"):
        if upper in new and new[upper] < old.get(upper, float("inf")):
            yield f"{where}: {upper} was {old.get(upper)}, is {new[upper]}"
    for lower in ("minimum", "minLength", "minItems"):
        if lower in new and new[lower] > old.get(lower, float("-inf")):
            yield f"{where}: {lower} was {old.get(lower)}, is {new[lower]}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{where}: its pattern changed"


def _resolved(kind: Schema, root: Schema) -> Schema:
    while "$ref" in kind:
        kind = root["$defs"][kind["$ref"].rsplit("/", 1)[1]]
    return kind


def record(folder: Path = RECORD) -> None:
    """Write today's schemas. Raises ValueError, and writes nothing, when a promise would be broken."""
    now, before = schemas(), recorded(folder)
    broken = [f"{key}: {text}" for key in before for text in broken_promises(before[key], now.get(key, {}))]
    if broken:
        raise ValueError("an event may only grow; make a new version beside it:\n" + "\n".join(broken))
    folder.mkdir(parents=True, exist_ok=True)
    for key, schema in now.items():
        (folder / f"{key}.json").write_text(json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
