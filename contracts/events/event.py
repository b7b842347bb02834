"""What makes a value an event: a name in the past tense, a version, and from both its routing key."""

import re
from functools import cache
from typing import ClassVar

from contracts.values import Value

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class Event(Value):
    """A fact somebody states. The body is the fact; who said it and when is the envelope's."""

    VERSION: ClassVar[int] = 1

    @classmethod
    def key(cls) -> str:
        """`FramesStored` → `frames.stored.v1`. A later version is its own class, e.g. `FramesStoredV2` with VERSION = 2."""
        return _key(cls.__name__, cls.VERSION)

    @property
    def correlation(self) -> str | None:
        """The job this fact is about, where there is one."""
        job = getattr(self, "job", None) or getattr(getattr(self, "grant", None), "job", None)
        return str(job) if job else None

    @property
    def addressee(self) -> str | None:
        """The agent whose mailbox this goes to, for events that go to one."""
        agent = getattr(self, "agent", None) or getattr(getattr(self, "grant", None), "agent", None)
        return str(agent) if agent else None


@cache
def _key(name: str, version: int) -> str:
    """Asked for several times with every message; there are as many as there are events."""
    word = re.sub(r"V\d+$", "", name)
    return f"{_WORD.sub('.', word).lower()}.v{version}"
