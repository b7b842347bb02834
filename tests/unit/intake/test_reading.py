"""What people write, read exactly or refused with the reason: frame lists, credits, keys, passes, rates, uploads."""

import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import BundleRejected, BundleStored, Event, UploadFinished, UploadRequested
from contracts.values import MICRO, FrameRange, frames
from services.intake.domain import passes, uploads, webhooks
from services.intake.domain.credits import credit_text, micro
from services.intake.domain.framelists import parsed, written
from services.intake.domain.ids import derived
from services.intake.domain.passes import Pass
from services.intake.domain.rates import Rate, Tokens, taken
from services.intake.domain.refusals import Refused
from services.intake.domain.uploads import State, Upload

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
KEY = b"k" * 32
some_frames = st.sets(st.integers(-3_000, 3_000), min_size=1, max_size=60)


@given(some_frames)
def test_a_frame_list_reads_back_what_was_written(wanted: set[int]) -> None:
    read = parsed(",".join(str(frame) for frame in sorted(wanted)))
    assert list(frames(read)) == sorted(wanted)
    assert parsed(written(read)) == read


@given(st.lists(st.tuples(st.integers(-200, 200), st.integers(0, 50), st.integers(1, 9)), min_size=1, max_size=8))
def test_overlapping_ranges_give_each_frame_once(parts: list[tuple[int, int, int]]) -> None:
    read = parsed(",".join(f"{first}-{first + more}x{step}" for first, more, step in parts))
    expected = sorted({frame for first, more, step in parts for frame in range(first, first + more + 1, step)})
    assert list(frames(read)) == expected


def test_frame_lists_look_as_people_write_them() -> None:
    assert parsed(" 1-48, 60 ,100-200x2 ") == (
        FrameRange(first=1, last=48),
        FrameRange(first=60, last=60),
        FrameRange(first=100, last=200, step=2),
    )
    assert parsed("-10--5x5") == (FrameRange(first=-10, last=-5, step=5),)


@pytest.mark.parametrize(
    "text", ["", ",", "a", "1-", "2-1", "1-3x0", "1-9999999", "1--", "1.5", "1-3x", "0x5", "1-1048575", "x" * 50_000]
)
def test_no_frame_list_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parsed(text)
    assert "100-200x2" in caught.value.advice or "own range" in caught.value.advice


@given(st.integers(1, 10**15))
def test_credits_read_back_what_was_written(amount: int) -> None:
    assert micro(credit_text(amount), "amount", 10**15) == amount


@given(st.text(alphabet=string.printable, max_size=12))
def test_no_text_gives_an_amount_that_is_not_positive_and_bounded(text: str) -> None:
    try:
        amount = micro(text, "amount", 5 * MICRO)
    except Refused:
        return
    assert 0 < amount <= 5 * MICRO


@pytest.mark.parametrize("text", ["0", "-1", "+1", "1,5", "٣", "1e9", "inf", "0.0000001", "5.000001", ".5", "5."])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        micro(text, "amount", 5 * MICRO)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=3), st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_ids_differ_when_what_they_follow_from_does(one: list[str], other: list[str]) -> None:
    assert (derived("j", *one) == derived("j", *other)) == (one == other)


def test_a_pass_opens_what_it_names_until_it_is_over() -> None:
    text = passes.sealed(Pass(passes.LINK, "renter-1", "j-1", NOW + timedelta(minutes=1)), KEY)
    opened = passes.opened(text, passes.LINK, "j-1", KEY, NOW)
    assert opened is not None
    assert opened.account == "renter-1"
    assert passes.opened(text, passes.LINK, "j-1", KEY, NOW + timedelta(minutes=1)) is None


@given(st.integers(0, 90), st.characters(codec="utf-8"))
def test_a_pass_that_was_changed_anywhere_opens_nothing(at: int, letter: str) -> None:
    text = passes.sealed(Pass(passes.PAGE, "renter-1", "j-1", NOW + timedelta(days=1)), KEY)
    changed = text[: at % len(text)] + letter + text[at % len(text) + 1 :]
    assert (passes.opened(changed, passes.PAGE, "j-1", KEY, NOW) is None) == (changed != text)


def test_a_pass_is_for_its_purpose_its_job_and_our_key_only() -> None:
    text = passes.sealed(Pass(passes.LINK, "renter-1", "j-1", NOW + timedelta(days=1)), KEY)
    assert passes.opened(text, passes.PAGE, "j-1", KEY, NOW) is None
    assert passes.opened(text, passes.LINK, "j-2", KEY, NOW) is None
    assert passes.opened(text, passes.LINK, "j-1", b"x" * 32, NOW) is None


@given(st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_no_rhythm_of_requests_gets_more_than_the_rate_and_the_burst(pauses: list[float]) -> None:
    rate, tokens, now, passed = Rate(per_second=3, burst=5), None, 0.0, 0
    for pause in pauses:
        now += pause
        tokens, wait = taken(tokens, rate, now)
        passed += wait == 0
        assert isinstance(tokens, Tokens)
    assert passed <= rate.burst + now * rate.per_second + 1e-6


def test_a_drained_bucket_says_how_long_to_wait() -> None:
    tokens, wait = taken(Tokens(0.5, 10.0), Rate(per_second=2, burst=5), 10.0)
    assert (tokens.left, wait) == (0.5, 0.25)
    assert taken(tokens, Rate(per_second=2, burst=5), 10.25)[1] == 0


UNREADABLE = ("http://[abc", "https://\u2100.com/", "https://x.example:99999/", "http://a..b/", f"http://{'a' * 64}.example/")


def test_only_plain_web_addresses_can_be_called() -> None:
    for url in ("ftp://x", "https://", "https://user:pw@x.example", "javascript:alert(1)", "//x", *UNREADABLE):
        with pytest.raises(Refused):
            webhooks.checked(url)
    for url in ("https://x.example/hook", "http://[::1]:8080/x", "https://b\u00fccher.example./hook"):
        assert webhooks.checked(url) == url


def an_upload(state: State = State.REQUESTED) -> Upload:
    return Upload("renter-1", "0" * 64, 10, 0, NOW, state)


def a_stored_bundle() -> BundleStored:
    one: dict[str, Any] = {"upload": "u", "account": "renter-1", "bundle": "0" * 64, "blends": ("a.blend",)}
    return BundleStored(bytes=10, unpacked_bytes=20, files=1, **one)


@given(st.permutations(["granted", "finished", "stored", "granted", "stored"]))
def test_an_upload_ends_stored_whatever_the_order_of_words(order: list[str]) -> None:
    fact = BundleStored(
        upload="u", account="renter-1", bundle="0" * 64, bytes=10, unpacked_bytes=20, files=1, blends=("a.blend",)
    )
    upload, told = an_upload(), list[Event]()
    for word in order:
        if word == "finished":
            upload, events = uploads.finished("u", upload)
            told += events
        else:
            upload = uploads.granted(upload) if word == "granted" else uploads.stored(upload, fact, NOW)
    assert (upload.state, upload.blends) == (State.STORED, ("a.blend",))
    assert len(told) <= 1
    assert all(isinstance(event, UploadFinished) for event in told)


def test_a_verdict_stands() -> None:
    no = BundleRejected(upload="u", account="renter-1", code="bomb", text="Too large when unpacked.")
    rejected = uploads.rejected(an_upload(), no)
    assert (rejected.state, rejected.code) == (State.REJECTED, "bomb")
    assert uploads.granted(rejected) == rejected
    with pytest.raises(Refused, match="Too large when unpacked"):
        uploads.finished("u", rejected)
    assert not uploads.same_again(rejected, 10, NOW)
    assert uploads.same_again(an_upload(), 10, NOW)
    with pytest.raises(Refused):
        uploads.same_again(an_upload(), 11, NOW)


def test_what_storage_may_have_dropped_is_asked_for_again_and_carries_no_job() -> None:
    fact = BundleStored(
        upload="u", account="renter-1", bundle="0" * 64, bytes=10, unpacked_bytes=20, files=1, blends=("a.blend",)
    )
    upload = uploads.stored(an_upload(), fact, NOW)
    assert uploads.same_again(upload, 10, NOW + timedelta(hours=23))
    assert not uploads.same_again(upload, 10, NOW + timedelta(days=1))
    assert uploads.usable(upload, NOW + timedelta(days=4)) == upload
    for unfit, at in ((upload, NOW + timedelta(days=5)), (an_upload(), NOW), (an_upload(State.FINISHED), NOW)):
        with pytest.raises(Refused):
            uploads.usable(unfit, at)


def test_each_turn_of_an_upload_has_its_own_id() -> None:
    ids = {uploads.requested("renter-1", "0" * 64, 10, turn, NOW)[0] for turn in range(3)}
    again, _, told = uploads.requested("renter-1", "0" * 64, 10, 1, NOW)
    assert len(ids) == 3
    assert again in ids
    assert told == [UploadRequested(upload=again, account="renter-1", bytes=10, sha256="0" * 64)]
