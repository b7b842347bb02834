"""Agents: one document each, with its slots and hands."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from contracts.events import Event
from services.chassis.pending import Told
from services.chassis.repository import Change, Decide, Saved, SavedThenTold
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.states import HEARD_AGENT, UNSETTLED, AgentState

_HEARD, _UNSETTLED = sorted(HEARD_AGENT), sorted(UNSETTLED)
_REACHABLE = sorted({*HEARD_AGENT, AgentState.OFFLINE, AgentState.SUSPENDED})


class Agents:
    def __init__(self, store: SavedThenTold[Agent]) -> None:
        self.store = store

    async def ensure_indexes(self) -> None:
        await self.store.collection.create_index([("state", 1), ("seen_at", 1)])
        await self.store.collection.create_index("access")

    async def now(self) -> datetime:
        return await self.store.now()

    async def add(self, agent: Agent, events: Sequence[Event]) -> bool:
        return await self.store.add(agent.agent, agent, events)

    async def get(self, agent: str) -> Agent | None:
        return await self.store.get(agent)

    async def read_many(self, agents: Iterable[str]) -> dict[str, Saved[Agent]]:
        return await self.store.read_many(agents)

    async def recall_many(self, agents: Iterable[str]) -> dict[str, Saved[Agent]]:
        """As this process has last read or written them; to write on, not to refuse on."""
        return await self.store.recall_many(agents)

    async def current(self, agents: Iterable[str]) -> dict[str, Saved[Agent]]:
        """As they are, but for the time they were last seen; read anew only where they have changed."""
        return {saved.id: saved for saved in await self.store.current({"_id": {"$in": list(set(agents))}})}

    async def update(self, agent: str, decide: Decide[Agent]) -> Agent:
        return await self.store.update(agent, decide)

    async def decide(self, agent: str, decide: Decide[Agent]) -> tuple[Agent, list[Told]]:
        """As `update`, with the telling left to the caller."""
        return await self.store.decide(agent, decide)

    async def tell(self, told: Sequence[Told]) -> None:
        await self.store.pending.tell(told)

    async def save(self, changes: Sequence[Change[Agent]]) -> list[bool]:
        return await self.store.save(changes)

    async def heard(self) -> list[Saved[Agent]]:
        """Online or draining; the time they were last seen may be older than it is."""
        return await self.store.current({"state": {"$in": _HEARD}})

    async def reachable(self) -> list[Saved[Agent]]:
        """Whose mailbox is read, now or when they are back."""
        return await self._found({"state": {"$in": _REACHABLE}})

    async def silent(self, since: datetime) -> list[Saved[Agent]]:
        """Online or draining, and not heard since."""
        return await self._found({"state": {"$in": _HEARD}, "seen_at": {"$lt": since}})

    async def note_heard(self, seen: Mapping[str, datetime]) -> None:
        """Only moves the time forward, outside the version: pulses must not contend with claims. A claim that writes back the
        time it has read costs its agent milliseconds of a lease of thirty seconds."""
        for at in set(seen.values()):
            together = [agent for agent, then in seen.items() if then == at]
            await self.store.collection.update_many({"_id": {"$in": together}}, {"$max": {"seen_at": at}})

    async def unsettled(self) -> list[str]:
        """Those whose document says something that the broker may not have been told."""
        cursor = self.store.collection.find({"access": {"$in": _UNSETTLED}}, {"_id": 1})
        return [document["_id"] async for document in cursor]

    async def unheard(self) -> list[str]:
        """Those whose word does not count: in quarantine, or revoked."""
        query = {"state": {"$in": [AgentState.QUARANTINED, AgentState.REVOKED]}}
        return [document["_id"] async for document in self.store.collection.find(query, {"_id": 1})]

    async def is_revoked(self, agent: str) -> bool:
        return await self.store.collection.find_one({"_id": agent, "state": AgentState.REVOKED}, {"_id": 1}) is not None

    async def counts(self) -> dict[str, int]:
        stages = [{"$match": {"state": {"$in": sorted(AgentState)}}}, {"$group": {"_id": "$state", "agents": {"$sum": 1}}}]
        groups = self.store.collection.aggregate(stages)
        return {group["_id"]: group["agents"] async for group in groups}

    async def _found(self, query: dict[str, Any]) -> list[Saved[Agent]]:
        """Each once: an agent that pulses while the index is walked moves ahead of the cursor and is met again."""
        cursor = self.store.collection.find(query, {"pending": 0, "_writers": 0})
        return list({document["_id"]: self.store.saved(document) async for document in cursor}.values())
