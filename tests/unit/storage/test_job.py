"""A job's end: counted once, and nothing stored after the count, whatever the order of steps."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import FramesSealed, JobPackaged, JobPurged
from contracts.values import frames as numbers
from services.storage.domain import frame as framing
from services.storage.domain import job as jobbing
from services.storage.domain.frame import FrameRecord, FrameState
from services.storage.domain.job import Job, JobState, Outcome
from services.storage.packing import chosen
from tests.unit.storage.builders import NOW, a_record, a_submission

WEEK = timedelta(days=7)


def a_job(state: JobState = JobState.OPEN, outcome: Outcome | None = None) -> Job:
    return replace(jobbing.submitted(a_submission()), state=state, outcome=outcome)


def test_the_seal_tells_every_stored_frame_and_their_number() -> None:
    closed, _ = jobbing.closed(a_job(), Outcome.CANCELLED, 24_000)
    sealed, (event,) = jobbing.sealed(closed, [1, 2, 3, 9], NOW + WEEK)
    assert isinstance(event, FramesSealed)
    assert (event.outcome, list(numbers(event.frames)), event.count) == ("cancelled", [1, 2, 3, 9], 4)
    assert jobbing.sealed(sealed, [1], NOW) == (sealed, ())


def test_the_first_end_of_a_job_counts() -> None:
    closed, _ = jobbing.closed(a_job(), Outcome.RENDERED, 25_000)
    assert jobbing.closed(closed, Outcome.CANCELLED, 24_000) == (closed, ())


def test_packages_are_kept_for_the_retention_and_then_told_gone() -> None:
    packaged, (event,) = jobbing.packaged(a_job(JobState.SEALED, Outcome.RENDERED), (), NOW, WEEK)
    assert isinstance(event, JobPackaged)
    assert event.until == NOW + WEEK
    purged, (gone,) = jobbing.purged(packaged)
    assert isinstance(gone, JobPurged)
    assert jobbing.purged(purged) == (purged, ())
    assert jobbing.packaged(purged, (), NOW, WEEK) == (purged, ())


def test_samples_of_a_quote_nobody_accepted_are_not_packaged() -> None:
    cancelled = a_job(JobState.SEALED, Outcome.CANCELLED)
    assert not jobbing.wants_package(cancelled, rendered_after_acceptance=False)
    assert jobbing.wants_package(cancelled, rendered_after_acceptance=True)
    assert jobbing.wants_package(a_job(JobState.SEALED, Outcome.RENDERED), rendered_after_acceptance=False)
    assert not jobbing.wants_package(a_job(JobState.PACKAGED, Outcome.RENDERED), rendered_after_acceptance=True)


def test_an_open_job_is_not_sealed() -> None:
    assert jobbing.sealed(a_job(), [1], NOW) == (a_job(), ())
    with pytest.raises(ValueError, match="job-1 is open and cannot become sealed"):
        jobbing._moved(a_job(), JobState.SEALED)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Wave", "Wave"),
        ("../../etc", "etc"),
        ("a/b\\c", "a_b_c"),
        ("  . ", "job-job-1"),
        ("Größe 2", "Größe 2"),
        ("\0", "job-job-1"),
    ],
)
def test_a_jobs_name_makes_a_harmless_folder(name: str, folder: str) -> None:
    assert jobbing.folder(replace(a_job(), name=name)) == folder


def test_file_names_sort_as_frames_do() -> None:
    assert [jobbing.file_name(frame) for frame in (1, 250, 12_345, -12)] == ["0001.png", "0250.png", "12345.png", "-0012.png"]


def test_a_contact_sheet_shows_both_ends_and_no_more_than_fit() -> None:
    assert chosen([3, 4], 24) == {3, 4}
    many = chosen(list(range(1, 1_001)), 24)
    assert len(many) == 24
    assert {1, 1_000} <= many


# --- the seal's theory, step by step: every `yield` is a moment in which anybody else may act


class Store:
    """Documents with versions; a write names the version it has read."""

    def __init__(self) -> None:
        self.job = a_job()
        self.records: dict[int, tuple[int, FrameRecord]] = {}
        self.told: list[int] = []
        self.sealed: FramesSealed | None = None

    def write(self, frame: int, version: int, record: FrameRecord) -> bool:
        if self.records[frame][0] != version:
            return False
        self.records[frame] = (version + 1, record)
        return True

    def stored(self) -> list[int]:
        return sorted(frame for frame, (_, record) in self.records.items() if record.state is FrameState.STORED)


Steps = Generator[None, None, None]


def verifying(store: Store, frame: int, reads_first: bool = False) -> Steps:
    """One frame's way. `reads_first` is the mistake that the theory forbids."""
    early = store.job
    yield
    store.records[frame] = (1, a_record(frame))
    yield
    job = early if reads_first else store.job
    yield
    version, record = store.records[frame]
    yield
    if record.state is FrameState.ARRIVED:
        after, events = framing.stored(record) if job.state is JobState.OPEN else framing.refused(record)
        if store.write(frame, version, after) and events:
            store.told.append(frame)


def sealing(store: Store) -> Steps:
    yield
    store.job, _ = jobbing.closed(store.job, Outcome.CANCELLED, 24_000)
    yield
    while arrived := [frame for frame, (_, record) in store.records.items() if record.state is FrameState.ARRIVED]:
        for frame in arrived:
            version, record = store.records[frame]
            yield
            if record.state is FrameState.ARRIVED:
                store.write(frame, version, framing.refused(record)[0])
        yield
    counted = store.stored()
    yield
    store.job, events = jobbing.sealed(store.job, counted, NOW)
    store.sealed = next((event for event in events if isinstance(event, FramesSealed)), store.sealed)


def play(store: Store, everybody: Sequence[Steps], order: Sequence[int]) -> None:
    """Whose turn it is comes from `order`; when it is used up all finish one after another."""
    running = list(everybody)
    for turn in order:
        if running:
            actor = running[turn % len(running)]
            if next(actor, "end") == "end":
                running.remove(actor)
    for actor in running:
        for _ in actor:
            continue


def assert_the_seal_is_the_truth(store: Store) -> None:
    assert store.sealed is not None
    assert list(numbers(store.sealed.frames)) == store.stored() == sorted(store.told)


@given(order=st.lists(st.integers(0, 5), max_size=80), sealers=st.integers(1, 2))
def test_no_frame_is_stored_after_the_seal_whatever_the_order(order: list[int], sealers: int) -> None:
    store = Store()
    play(store, [*(verifying(store, frame) for frame in range(1, 5)), *(sealing(store) for _ in range(sealers))], order)
    assert_the_seal_is_the_truth(store)


def test_reading_the_job_before_the_insert_would_break_the_seal() -> None:
    store = Store()
    sealer = sealing(store)
    late = verifying(store, 1, reads_first=True)
    next(late)
    for _ in sealer:
        continue
    for _ in late:
        continue
    assert store.stored() == [1]
    with pytest.raises(AssertionError):
        assert_the_seal_is_the_truth(store)
