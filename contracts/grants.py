"""What an attempt may do, as a signed value: the scheduler signs it, storage checks it, the agent only carries it.

A grant outlives its lease on purpose: late frames that are still missing are welcome. What ends it early is the job's seal or
the agent's revocation.
"""

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from contracts.values import Bytes, Id, Kind, Picture, Ranges, Sha256, Value, count


class Grant(Value):
    """`until` is the attempt's hard end plus grace; `max_bytes` bounds one frame's file; `mac` is empty until signed."""

    agent: Id
    job: Id
    chunk: Id
    attempt: Id
    kind: Kind
    frames: Annotated[Ranges, Field(max_length=1_000)]
    generation: Annotated[int, Field(ge=0, le=1_000)] = 0
    version: Annotated[int, Field(ge=0, le=1_000)] = 0
    bundle: Sha256
    picture: Picture
    max_bytes: Bytes
    until: AwareDatetime
    key_id: Annotated[str, Field(max_length=16)] = "1"
    mac: Annotated[str, Field(max_length=64)] = ""

    def allows(self, frame: int) -> bool:
        return any(frame in r for r in self.frames)

    def __len__(self) -> int:
        return count(self.frames)


def sign(grant: Grant, keys: Mapping[str, bytes]) -> Grant:
    """The grant with its HMAC-SHA256 under the key it names. Raises KeyError when that key is not held."""
    return grant.model_copy(update={"mac": _mac(grant, keys[grant.key_id])})


def is_good(grant: Grant, keys: Mapping[str, bytes], now: datetime) -> bool:
    """True when we signed exactly this and its time is not over."""
    key = keys.get(grant.key_id)
    return key is not None and hmac.compare_digest(_mac(grant, key).encode(), grant.mac.encode()) and now < grant.until


def _mac(grant: Grant, key: bytes) -> str:
    """Over the canonical JSON of every field but the MAC itself (pydantic keeps the order of declaration)."""
    return hmac.digest(key, grant.model_dump_json(exclude={"mac"}).encode(), "sha256").hex()
