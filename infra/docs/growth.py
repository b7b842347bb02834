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
LOOKED_AT = frozenset({"properties", "required", "enum", "items", "anyOf", "$defs", "default"})
"""Keywords with a rule of their own; any other must stay as it is: a reader of before refuses what a wider bound lets through."""
WORDS = frozenset({"title", "description"})
"""What neither reader nor writer checks."""


def schemas() -> dict[str, dict[str, Any]]:
    """Routing key → JSON Schema of the body, for every event of ROUTES."""
    return {route.event.key(): route.event.model_json_schema() for route in ROUTES}


def recorded(folder: Path = RECORD) -> dict[str, dict[str, Any]]:
    return {path.name.removesuffix(".json"): json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def broken_promises(before: Schema, after: Schema) -> Iterator[str]:
    """What a reader or a writer built on `before` would trip over under `after`."""
    yield from _kind(_resolved(before, before), _resolved(after, after), before, after, "")


def _kind(old: Schema, new: Schema, before: Schema, after: Schema, where: str) -> Iterator[str]:
    yield from _fields(old, new, before, after, f"{where}." if where else "")
    yield from _values(old, new, where)
    if "items" in old and "items" in new:
        yield from _kind(_resolved(old["items"], before), _resolved(new["items"], after), before, after, f"{where}[]")
    if "anyOf" in old or "anyOf" in new:
        yield from _alternatives(old, new, before, after, where)
    for keyword in sorted((old.keys() | new.keys()) - LOOKED_AT - WORDS):
        if old.get(keyword) != new.get(keyword):
            yield f"{where or 'the event'}: {keyword} was {old.get(keyword)}, is {new.get(keyword)}"


def _fields(old: Schema, new: Schema, before: Schema, after: Schema, prefix: str) -> Iterator[str]:
    properties, now = old.get("properties", {}), new.get("properties", {})
    must, must_now = set(old.get("required", [])), set(new.get("required", []))
    for name in sorted(must_now - must):
        yield f"{prefix}{name} has become required"
    for name in sorted((must - must_now) & now.keys()):
        yield f"{prefix}{name} need not be there any more"
    for name, kind in properties.items():
        if name not in now:
            yield f"{prefix}{name} is gone"
        else:
            yield from _default(kind, now[name], f"{prefix}{name}")
            yield from _kind(_resolved(kind, before), _resolved(now[name], after), before, after, f"{prefix}{name}")


def _default(old: Schema, new: Schema, where: str) -> Iterator[str]:
    """What is not said means the same to everybody; a value that is spoken of as a whole may have gained fields."""
    was, now = old.get("default"), new.get("default")
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        now = {name: value for name, value in now.items() if name in was}
    if was != now:
        yield f"{where}: default was {was}, is {now}"


def _values(old: Schema, new: Schema, where: str) -> Iterator[str]:
    """A value less is one that a writer may not say any more; one more is one that a reader does not know."""
    values, now = old.get("enum", []), new.get("enum", [])
    yield from (f"{where} no longer knows {value!r}" for value in values if value not in now)
    yield from (f"{where} may be {value!r} too" for value in now if value not in values)


def _alternatives(old: Schema, new: Schema, before: Schema, after: Schema, where: str) -> Iterator[str]:
    """Each alternative of before must still be one, unbroken, and there is no other."""
    known = [_resolved(one, before) for one in old.get("anyOf", [old])]
    offered = [_resolved(one, after) for one in new.get("anyOf", [new])]
    for one in known:
        if not any(not list(_kind(one, other, before, after, where)) for other in offered):
            yield f"{where} no longer takes {_called(one)}"
    for other in offered:
        if not any(not list(_kind(one, other, before, after, where)) for one in known):
            yield f"{where} takes {_called(other)} too"


def _called(kind: Schema) -> object:
    return kind.get("title", kind.get("type"))


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
