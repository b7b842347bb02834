"""A state as MongoDB keeps it: encoding, decoding, and what has changed between two states.

A write sets only the fields that a decision has changed. The version in its condition says that all others are as they were read,
and what is moved outside the version (a time last seen) is not written back by accident.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter

S = TypeVar("S")


class Documents(Generic[S]):
    """Of one kind of state, a frozen dataclass of plain values (no dict with non-string keys, no sets). A document is the
    state's own fields plus `_id`, `_version`, `_writers` and `pending`."""

    def __init__(self, state_type: type[S]) -> None:
        self._codec: TypeAdapter[S] = TypeAdapter(state_type)
        hints = get_type_hints(state_type, include_extras=True)
        assert dataclasses.is_dataclass(state_type)
        self._fields: dict[str, TypeAdapter[Any]] = {
            field.name: TypeAdapter(hints[field.name]) for field in dataclasses.fields(state_type)
        }

    def decode(self, document: Mapping[str, Any]) -> S:
        own = {key: value for key, value in document.items() if not key.startswith("_") and key != "pending"}
        return self._codec.validate_python(own)

    def encode(self, id: str, state: S, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The whole of a document to be."""
        fields: dict[str, Any] = self._codec.dump_python(state)
        return {**fields, "_id": id, "_version": 1, "_writers": [], "pending": list(entries)}

    def changed(self, before: S, after: S) -> dict[str, Any]:
        """Fields of `after` that differ."""
        found = {}
        for name, codec in self._fields.items():
            was, now = getattr(before, name), getattr(after, name)
            if was is not now and was != now:
                found[name] = codec.dump_python(now)
        return found
