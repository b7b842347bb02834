"""Grouped writes over a connection that breaks: sent again they count once, and everybody still knows who won."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, NetworkTimeout, PyMongoError, ServerSelectionTimeoutError

from services.chassis.grouping import GroupedWrites, Write
from services.chassis.verdicts import Verdict, verdict

Document = dict[str, Any]


class Server:
    """Stands in for the driver's collection and the server behind it. `breaks`: the next answers that do not come, each with
    whether its command has come through before."""

    def __init__(self, breaks: list[bool], keeps_writers: bool = True) -> None:
        self.name, self.database = "things", self
        self.documents: dict[str, Document] = {id: {"_id": id, "_version": 1, "_writers": []} for id in ("a", "b")}
        self.refused: list[Document] = []
        self.uncopied: list[int] = []
        """Codes under which the next answers say that what was written is not copied yet."""
        self.statements = self.asked = 0
        self.away: type[AutoReconnect] | None = None
        self._breaks, self._keeps_writers = breaks, keeps_writers

    async def command(self, what: str, collection: str, *, updates: list[Document], **how: Any) -> Document:
        assert (what, collection, how) == ("update", "things", {"ordered": False, "writeConcern": {"w": "majority"}})
        if self.away is not None:
            self.asked += 1
            raise self.away("waited for in vain")
        comes_through = self._breaks.pop(0) if self._breaks else None
        self.statements += 0 if comes_through is False else len(updates)
        matched = 0 if comes_through is False else sum(self._apply(id, one) for one in updates for id in _named(one))
        if comes_through is not None:
            raise AutoReconnect("connection closed")
        late = {"writeConcernError": {"code": self.uncopied.pop(0)}} if self.uncopied else {}
        return {"n": matched, **({"writeErrors": self.refused} if self.refused else {}), **late}

    def _apply(self, id: str, one: Document) -> bool:
        document, change = self.documents[id], one["u"]
        if document["_version"] != one["q"]["_version"]:
            return False
        document |= change.get("$set", {})
        document["_version"] += change["$inc"]["_version"]
        if self._keeps_writers:
            document["_writers"] += change["$push"]["_writers"]["$each"]
        return True

    async def find(self, query: Mapping[str, Any], _: object) -> AsyncIterator[Document]:
        for id in query["_id"]["$in"]:
            yield self.documents[id]


def _named(one: Document) -> list[str]:
    asked = one["q"]["_id"]
    if one["multi"]:
        return list(asked["$in"])
    return [asked]


def both(value: int, version: int = 1) -> list[Write]:
    return [Write(id, version, {"value": value}) for id in ("a", "b")]


@pytest.mark.parametrize("comes_through", [True, False])
async def test_a_group_whose_answer_was_lost_is_sent_again_and_counts_once(comes_through: bool) -> None:
    server = Server([comes_through])
    assert await GroupedWrites(server).write_all(both(7)) == [True, True]
    assert [(one["value"], one["_version"]) for one in server.documents.values()] == [(7, 2), (7, 2)]


async def test_without_the_writers_tokens_what_came_through_would_seem_lost() -> None:
    assert await GroupedWrites(Server([True], keeps_writers=False)).write_all(both(7)) == [False, False]


async def test_who_was_overtaken_loses_also_when_the_group_was_sent_twice() -> None:
    server = Server([True])
    server.documents["b"]["_version"] = 2
    assert await GroupedWrites(server).write_all(both(7)) == [True, False]


async def test_a_world_that_stays_away_is_told() -> None:
    with pytest.raises(AutoReconnect):
        await GroupedWrites(Server([True, True])).write_all(both(7))


async def test_a_server_that_stops_while_it_copies_is_asked_again_and_the_group_counts_once() -> None:
    server = Server([])
    server.uncopied = [91]
    assert await GroupedWrites(server).write_all(both(7)) == [True, True]
    assert [(one["value"], one["_version"]) for one in server.documents.values()] == [(7, 2), (7, 2)]


@pytest.mark.parametrize("codes", [[91, 11600], [64]])
async def test_a_server_that_does_not_get_to_copy_is_the_worlds_fault(codes: list[int]) -> None:
    server = Server([])
    server.uncopied = codes
    with pytest.raises(PyMongoError) as met:
        await GroupedWrites(server).write_all(both(7))
    assert verdict(met.value) is Verdict.WORLD


@pytest.mark.parametrize("away", [ServerSelectionTimeoutError, NetworkTimeout])
async def test_a_server_that_was_waited_for_in_vain_is_not_waited_for_again_at_once(away: type[AutoReconnect]) -> None:
    """Twice twenty seconds are longer than a handler may take."""
    server = Server([])
    server.away = away
    with pytest.raises(away):
        await GroupedWrites(server).write_all(both(7))
    assert server.asked == 1


async def test_what_the_server_refuses_is_raised() -> None:
    server = Server([])
    server.refused = [{"index": 0, "code": 66, "errmsg": "immutable"}]
    with pytest.raises(BulkWriteError):
        await GroupedWrites(server).write_all(both(7))


async def test_writes_that_do_the_same_are_one_statement_and_others_are_not() -> None:
    server = Server([])
    assert await GroupedWrites(server).write_all(both(7)) == [True, True]
    assert server.statements == 1
    for other in (Write("b", 2, {"value": 8}), Write("b", 2, {"value": 7}, [{"id": "told"}]), Write("b", 2, {"value": [7]})):
        server.statements, server.documents["b"]["_version"] = 0, 2
        server.documents["a"]["_version"] = 2
        assert await GroupedWrites(server).write_all([Write("a", 2, {"value": 7}), other]) == [True, True]
        assert server.statements == 2
