"""Uploads: parts, states, and whose bundle counts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import BundleRejected, BundleStored
from services.storage.domain import upload as uploading
from services.storage.domain.upload import Bundle, Upload, UploadState
from tests.unit.storage.builders import NOW, an_upload_request

MIB = 1 << 20
LATER = NOW + uploading.LIFE + timedelta(seconds=1)
BUNDLE = Bundle("renter", "a" * 64, "upload-0", 100, 300, 2, ("scene.blend",), NOW)


def an_upload(state: UploadState = UploadState.GRANTED) -> Upload:
    return Upload("upload-1", "renter", 100, "a" * 64, NOW, state, multipart="m")


@given(size=st.integers(1, 1 << 40))
def test_parts_cover_the_bundle_exactly_and_are_never_too_many(size: int) -> None:
    each, total = uploading.part_bytes(size), uploading.parts_total(size)
    assert total <= 10_000
    assert each >= 8 * MIB
    assert (total - 1) * each < size <= total * each
    first, last = uploading.parts(size, 0), uploading.parts(size, (total - 1) // 100)
    assert first[0][0] == 1
    assert last[-1] == (total, size - (total - 1) * each)


def test_pages_follow_on_one_another_and_end() -> None:
    size = 8 * MIB * 250 + 1
    numbers = [number for page in range(4) for number, _ in uploading.parts(size, page)]
    assert numbers == list(range(1, 252))
    assert uploading.parts(size, 3) == []


def test_a_bundle_this_account_has_is_stored_at_once() -> None:
    upload, events = uploading.requested(an_upload_request(), BUNDLE, 1 << 30, NOW)
    (event,) = events
    assert upload.state is UploadState.STORED
    assert isinstance(event, BundleStored)
    assert (event.upload, event.bundle, event.blends) == ("upload-1", "a" * 64, ("scene.blend",))


def test_a_bundle_that_retention_took_is_uploaded_again() -> None:
    upload, events = uploading.requested(an_upload_request(), replace(BUNDLE, kept=False), 1 << 30, NOW)
    assert (upload.state, events) == (UploadState.REQUESTED, ())


def test_a_bundle_larger_than_any_may_be_is_rejected_before_it_is_sent() -> None:
    upload, events = uploading.requested(an_upload_request(101), None, 100, NOW)
    assert upload.state is UploadState.REJECTED
    assert isinstance(events[0], BundleRejected)
    assert events[0].code == "too_large"


def test_the_first_upload_opened_in_the_store_counts() -> None:
    first, _ = uploading.granted(replace(an_upload(UploadState.REQUESTED), multipart=""), "m")
    again, _ = uploading.granted(first, "other")
    assert (again.state, again.multipart) == (UploadState.GRANTED, "m")


@pytest.mark.parametrize("state", [UploadState.STORED, UploadState.REJECTED, UploadState.EXPIRED])
def test_what_is_over_is_told_only_once(state: UploadState) -> None:
    upload = an_upload(state)
    assert uploading.finished(upload) == (upload, ())
    assert uploading.rejected(upload, "x", "y") == (upload, ())
    assert uploading.expired(upload, LATER) == (upload, ())


def test_an_upload_that_is_being_verified_does_not_expire() -> None:
    upload = an_upload(UploadState.FINISHED)
    assert uploading.expired(upload, LATER) == (upload, ())


def test_an_upload_that_is_gone_on_with_after_it_was_looked_for_does_not_expire() -> None:
    upload, _ = uploading.asked(an_upload(), LATER)
    assert uploading.expired(upload, LATER + uploading.LIFE) == (upload, ())
    assert uploading.expired(an_upload(), NOW + uploading.LIFE) == (an_upload(), ())
    assert uploading.expired(upload, LATER + uploading.LIFE + timedelta(seconds=1))[0].state is UploadState.EXPIRED


def test_who_asks_for_parts_goes_on_but_not_for_ever() -> None:
    upload, _ = uploading.asked(an_upload(), NOW + timedelta(hours=20))
    assert upload.asked_at == NOW + timedelta(hours=20)
    last = NOW + uploading.LONGEST - uploading.LIFE
    upload, _ = uploading.asked(upload, last)
    assert uploading.asked(upload, last + timedelta(seconds=1))[0].asked_at == last, "so that it ends after LONGEST"
    for state in set(UploadState) - {UploadState.GRANTED}:
        assert uploading.asked(an_upload(state), NOW) == (an_upload(state), ())


def test_an_expired_upload_tells_the_renter_what_to_do() -> None:
    upload, events = uploading.expired(an_upload(), LATER)
    assert upload.state is UploadState.EXPIRED
    assert isinstance(events[0], BundleRejected)
    assert "again" in events[0].text


def test_an_impossible_move_raises_with_the_story() -> None:
    with pytest.raises(ValueError, match="upload upload-1 is expired and cannot become stored"):
        uploading.stored(an_upload(UploadState.EXPIRED), BUNDLE)
