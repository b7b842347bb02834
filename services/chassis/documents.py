"""A state as MongoDB keeps it: encoding, decoding, and what has changed between two states.

A write sets only the fields that a decision has changed, of a state within the state only its own. The version in its condition
says that all others are as they were read; what is moved outside the version (a time last seen) is not written back by accident.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Generic, TypeVar, cast, get_type_hints

from pydantic import TypeAdapter

S = TypeVar("S")


class Documents(Generic[S]):
    """Of one kind of state, a frozen dataclass of plain values (no dict with non-string keys, no sets). A document is the
    state's own fields plus `_id`, `_version`, `_writers` and `pending`."""

    def __init__(self, state_type: type[S]) -> None:
        self._codec: TypeAdapter[S] = TypeAdapter(state_type)
        _fields(cast(Any, state_type))  # now, not in the first round

    def decode(self, document: Mapping[str, Any]) -> S:
        own = {key: value for key, value in document.items() if not key.startswith("_") and key != "pending"}
        return self._codec.validate_python(own)

    def encode(self, id: str, state: S, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The whole of a document to be."""
        fields: dict[str, Any] = self._codec.dump_python(state)
        return {**fields, "_id": id, "_version": 1, "_writers": [], "pending": list(entries)}

    def changed(self, before: S, after: S) -> dict[str, Any]:
        """Fields of `after` that differ, by their paths."""
        found: dict[str, Any] = {}
        for name, codec, was, now in _different(before, after):
            if type(was) is type(now) and dataclasses.is_dataclass(now):
                found |= {f"{name}.{inner}": within.dump_python(value) for inner, within, _, value in _different(was, now)}
            else:
                found[name] = codec.dump_python(now)
        return found


def _different(before: Any, after: Any) -> Iterator[tuple[str, TypeAdapter[Any], Any, Any]]:
    kind: Any = type(after)
    for name, codec in _fields(kind).items():
        was, now = getattr(before, name), getattr(after, name)
        if was is not now and was != now:
            yield name, codec, was, now


@cache
def _fields(state_type: Any) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(state_type, include_extras=True)
    return {field.name: TypeAdapter(hints[field.name]) for field in dataclasses.fields(state_type)}
