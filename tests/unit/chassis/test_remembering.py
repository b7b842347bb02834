"""What is written of a document, what is remembered of it, and how many acks say that a batch is done."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.chassis.arrivals import split
from services.chassis.documents import Documents
from services.chassis.memory import Memory, Saved

AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Leaf:
    name: str
    at: datetime = AT


@dataclass(frozen=True)
class Tree:
    name: str
    seen_at: datetime = AT
    leaves: tuple[Leaf, ...] = ()
    top: Leaf | None = None


def set_over(document: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """As the database does it."""
    for path, value in fields.items():
        *above, last = path.split(".")
        place = document
        for name in above:
            place = place[name]
        place[last] = value
    return document


DOCUMENTS = Documents(Tree)


def test_a_write_sets_only_what_the_decision_has_changed() -> None:
    before = Tree("oak", AT, (Leaf("a"),))
    assert DOCUMENTS.changed(before, before) == {}
    assert DOCUMENTS.changed(before, replace(before, leaves=(Leaf("a"),))) == {}, "equal is not changed"
    assert DOCUMENTS.changed(before, replace(before, leaves=(Leaf("b"),))) == {"leaves": ({"name": "b", "at": AT},)}


def test_of_a_state_within_a_state_only_what_changed_is_set() -> None:
    before = Tree("oak", top=Leaf("a"))
    assert DOCUMENTS.changed(before, replace(before, top=Leaf("b"))) == {"top.name": "b"}
    assert DOCUMENTS.changed(before, replace(before, top=None)) == {"top": None}
    assert DOCUMENTS.changed(replace(before, top=None), before) == {"top": {"name": "a", "at": AT}}


TOPS = st.none() | st.builds(Leaf, st.text(), st.sampled_from([AT, AT.replace(year=2027)]))
TREES = st.builds(Tree, st.text(), st.just(AT), st.tuples(st.builds(Leaf, st.text())), TOPS)


@given(TREES, TREES)
def test_what_was_read_with_what_was_set_over_it_is_what_was_decided(before: Tree, after: Tree) -> None:
    document = DOCUMENTS.encode("t", before, ())
    assert DOCUMENTS.decode(set_over(document, DOCUMENTS.changed(before, after))) == after


def test_a_late_reading_does_not_replace_what_was_written_after_it() -> None:
    memory = Memory[str](2)
    memory.note(Saved("a", 2, "written"))
    memory.note(Saved("a", 1, "read before"))
    assert memory.recall(["a", "b"]) == {"a": Saved("a", 2, "written")}
    assert memory.has("a", 2)
    assert not memory.has("a", 1)


def test_a_lost_write_forgets_and_the_longest_untouched_goes_first() -> None:
    memory = Memory[str](2)
    for id in ("a", "b", "a", "c"):
        memory.note(Saved(id, 1, id))
    assert memory.recall("abc").keys() == {"a", "c"}
    memory.forget("a")
    assert memory.recall("abc").keys() == {"c"}


def test_a_memory_of_none_remembers_nothing() -> None:
    memory = Memory[str](0)
    memory.note(Saved("a", 1, "a"))
    assert memory.recall(["a"]) == {}


@given(st.sets(st.integers(1, 60), min_size=1), st.sets(st.integers(1, 60)))
def test_acks_name_every_message_that_is_done_and_none_that_is_open(done: set[int], still: set[int]) -> None:
    still -= done
    upto, single = split(sorted(done), min(still, default=None))
    covered = {tag for tag in done | still if upto is not None and tag <= upto} | set(single)
    assert covered == done


def test_a_batch_without_gaps_is_one_ack() -> None:
    assert split(range(1, 501), 501) == (500, [])
    assert split([2, 3, 5], 4) == (3, [5])
