"""An event that no message can hold: seen and kept, and in nobody's way."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import REGISTRY

from contracts.events import FramesSealed
from contracts.values import FrameRange
from services.chassis.pending import Pending, Told, entry
from tests.unit.contracts.broker import Broker

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


class Shelf:
    """A collection of plain memory, with those under its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.documents: dict[str, dict[str, Any]] = {}
        self._below: dict[str, Shelf] = defaultdict(lambda: Shelf("below"))

    def __getitem__(self, name: str) -> "Shelf":
        return self._below[name]

    def find(self, *_: Any) -> "Shelf":
        return self

    def limit(self, _: int) -> "Shelf":
        return self

    async def to_list(self, _: None) -> list[dict[str, Any]]:
        return [{"_id": id, **document} for id, document in self.documents.items() if document["pending"]]

    async def update_many(self, query: Mapping[str, Any], change: Mapping[str, Any]) -> None:
        gone = change["$pull"]["pending"]["id"]["$in"]
        for id in query["_id"]["$in"]:
            self.documents[id]["pending"] = [one for one in self.documents[id]["pending"] if one["id"] not in gone]

    async def replace_one(self, query: Mapping[str, Any], document: Mapping[str, Any], upsert: bool) -> None:
        assert upsert
        self.documents[query["_id"]] = dict(document)

    def add(self, job: str, ranges: int = 1) -> dict[str, Any]:
        frames = (FrameRange(first=1, last=1),) * ranges
        saved = entry(FramesSealed(job=job, account="ada", outcome="failed", frames=frames, count=ranges), NOW, {})
        self.documents.setdefault(job, {"pending": []})["pending"].append(saved)
        return saved

    @property
    def left(self) -> list[str]:
        return [id for id, document in self.documents.items() if document["pending"]]


def counted(shelf: Shelf) -> float | None:
    return REGISTRY.get_sample_value("framelend_unsayable_total", {"service": "intake", "collection": shelf.name})


async def test_the_sweep_tells_all_others_once_and_sets_it_aside() -> None:
    shelf, broker = Shelf("swept"), Broker()
    before, vast, behind = shelf.add("before"), shelf.add("vast", 10_000), shelf.add("behind")
    pending = Pending("intake", shelf, broker.announcer())
    assert counted(shelf) == 0, "so that the first one is a step"
    for _ in range(3):
        await pending.announce_leftovers(LATER)
        await pending.settled()
    assert broker.heard == [before["id"], behind["id"]]
    assert (broker.closed, shelf.left) == (0, [])
    assert shelf["unsaid"].documents == {vast["id"]: {"document": "vast", **vast}}
    assert counted(shelf) == 1


async def test_what_else_its_document_has_to_tell_is_told() -> None:
    shelf, broker = Shelf("told at once"), Broker()
    entries = [shelf.add("vast", 10_000), shelf.add("vast")]
    pending = Pending("intake", shelf, broker.announcer())
    await pending.tell([Told("vast", saved) for saved in entries])
    await pending.settled()
    assert (broker.heard, shelf.left) == ([entries[1]["id"]], [])
    assert list(shelf["unsaid"].documents) == [entries[0]["id"]]
