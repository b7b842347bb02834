"""Bitmaps of frames: stored is final in any order, arriving never hides or invents a stored frame."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.values import Ranges, frames
from services.intake.domain import frames as bitmaps
from services.intake.domain.frames import Bucket

facts = st.lists(
    st.tuples(st.sampled_from(["stored", "arriving", "rejected"]), st.sets(st.integers(0, 40), min_size=1, max_size=8)),
    max_size=12,
)


def folded(told: list[tuple[str, set[int]]], number: int = 0) -> Bucket:
    """One attempt per frame, as leases make it."""
    bucket = Bucket("j-1", number)
    for what, some in told:
        if what == "stored":
            bucket = bitmaps.with_stored(bucket, some)
        for frame in some:
            if what == "arriving":
                bucket = bitmaps.with_arriving(bucket, f"a{frame}", [frame])
            elif what == "rejected":
                bucket = bitmaps.with_rejected(bucket, f"a{frame}", [frame])
    return bucket


def all_of(found: Ranges) -> set[int]:
    return set(frames(found))


@given(facts)
def test_stored_frames_are_exactly_those_storage_told(told: list[tuple[str, set[int]]]) -> None:
    bucket = folded(told)
    expected = set().union(*(some for what, some in told if what == "stored"))
    assert all_of(bitmaps.stored(bucket)) == expected
    assert bucket.stored_count == len(expected)


@given(facts, st.randoms(use_true_random=False))
def test_the_order_and_repetition_of_facts_changes_nothing(told: list[tuple[str, set[int]]], chance: object) -> None:
    shuffled = told + told[::2]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    one, other = folded(told), folded(shuffled)
    assert bitmaps.stored(one) == bitmaps.stored(other)
    assert bitmaps.arriving(one) == bitmaps.arriving(other)


@given(facts)
def test_arriving_is_what_was_announced_and_neither_stored_nor_rejected(told: list[tuple[str, set[int]]]) -> None:
    def of(what: str) -> set[int]:
        return set().union(*(some for kind, some in told if kind == what))

    assert all_of(bitmaps.arriving(folded(told))) == of("arriving") - of("stored") - of("rejected")


def test_a_rejected_frame_may_arrive_from_another_attempt() -> None:
    bucket = bitmaps.with_rejected(bitmaps.with_arriving(Bucket("j", 0), "a1", [7]), "a1", [7])
    assert bitmaps.arriving(bitmaps.with_arriving(bucket, "a1", [7])) == ()
    assert all_of(bitmaps.arriving(bitmaps.with_arriving(bucket, "a2", [7]))) == {7}


@given(st.sets(st.integers(-2_500, 2_500), min_size=1, max_size=40))
def test_frames_fall_into_their_buckets_and_come_out_as_themselves(some: set[int]) -> None:
    found = set[int]()
    for number, mine in bitmaps.by_bucket(some).items():
        found |= all_of(bitmaps.stored(bitmaps.with_stored(Bucket("j", number), mine)))
    assert found == some


def test_a_bucket_stays_small_whatever_is_told_of_it() -> None:
    bucket = bitmaps.with_stored(Bucket("j", 0), range(1000))
    for attempt in range(20):
        bucket = bitmaps.with_arriving(bucket, f"a{attempt}", range(1000))
        bucket = bitmaps.with_rejected(bucket, f"a{attempt}", range(1000))
    assert len(bucket.stored) + len(bucket.arriving) <= 500
    assert len(bucket.refused) <= bitmaps.MOST_REFUSED
