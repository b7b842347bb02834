"""What never changes once it is known: who owns an agent, and the tariff of a quoted version. Hence safe to keep in memory."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pymongo.errors import DuplicateKeyError

from contracts.values import Curve, Ranges
from services.billing.domain.pricing import Tariff
from services.chassis.service import Ground
from services.chassis.verdicts import NotYet

TARIFFS_IN_MEMORY = 2_000


class Owners:
    """Agent → account of its owner."""

    def __init__(self, ground: Ground) -> None:
        self._collection: Any = ground.database["agents"]
        self._known: dict[str, str] = {}

    async def enrol(self, agent: str, owner: str) -> None:
        """The first word counts: a machine does not change hands under its id."""
        with suppress(DuplicateKeyError):
            await self._collection.insert_one({"_id": agent, "owner": owner})

    async def known(self, agents: Iterable[str]) -> dict[str, str]:
        """Those that are enrolled; the others are left out."""
        wanted = set(agents)
        missing = [agent for agent in wanted if agent not in self._known]
        if missing:
            async for document in self._collection.find({"_id": {"$in": missing}}):
                self._known[document["_id"]] = document["owner"]
        return {agent: self._known[agent] for agent in wanted if agent in self._known}

    async def all(self, agents: Iterable[str]) -> dict[str, str]:
        """Raises NotYet when one is not enrolled."""
        wanted = set(agents)
        known = await self.known(wanted)
        if len(known) < len(wanted):
            raise NotYet(f"agent {sorted(wanted - set(known))[0]} is not enrolled")
        return known


@dataclass(frozen=True)
class _Frozen:
    curve: Curve
    frames: Ranges
    price_per_wu_micro: int


_CODEC: TypeAdapter[_Frozen] = TypeAdapter(_Frozen)


class Tariffs:
    """(job, version) → what each frame costs."""

    def __init__(self, ground: Ground) -> None:
        self._collection: Any = ground.database["tariffs"]
        self._known: dict[tuple[str, int], Tariff] = {}

    async def freeze(self, job: str, version: int, tariff: Tariff) -> Tariff:
        """The first word counts; returns what is frozen."""
        frozen = _Frozen(tariff.curve, tariff.frames, tariff.price_per_wu_micro)
        with suppress(DuplicateKeyError):
            await self._collection.insert_one({"_id": f"{job}:{version}", **_CODEC.dump_python(frozen)})
        found = await self.get(job, version)
        assert found is not None
        return found

    async def get(self, job: str, version: int) -> Tariff | None:
        return (await self.read_many([(job, version)])).get((job, version))

    async def read_many(self, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Tariff]:
        """Those that exist."""
        keys = set(wanted)
        missing = {f"{job}:{version}": (job, version) for job, version in keys if (job, version) not in self._known}
        if missing:
            async for document in self._collection.find({"_id": {"$in": list(missing)}}):
                frozen = _CODEC.validate_python({key: value for key, value in document.items() if key != "_id"})
                self._remember(missing[document["_id"]], Tariff(frozen.curve, frozen.frames, frozen.price_per_wu_micro))
        return {key: self._known[key] for key in keys if key in self._known}

    def _remember(self, key: tuple[str, int], tariff: Tariff) -> None:
        while len(self._known) >= TARIFFS_IN_MEMORY:
            self._known.pop(next(iter(self._known)))
        self._known[key] = tariff
