"""A grant is good only as signed, only in its time, only under a key that is held."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.grants import Grant, is_good, sign
from contracts.values import FrameRange, Kind, Picture

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEYS = {"1": b"k" * 32}


def a_grant(**changes: object) -> Grant:
    fields: dict[str, object] = {
        "agent": "ann", "job": "j", "chunk": "c", "attempt": "t", "kind": Kind.RENDER, "frames": (FrameRange(first=1, last=3),),
        "bundle": "a" * 64, "picture": Picture(width=10, height=10), "max_bytes": 1000, "until": NOW + timedelta(hours=1),
    }  # fmt: skip
    return Grant.model_validate(fields | changes)


def test_a_signed_grant_is_good_until_its_time_is_over() -> None:
    grant = sign(a_grant(), KEYS)
    assert is_good(grant, KEYS, NOW)
    assert is_good(Grant.model_validate_json(grant.model_dump_json()), KEYS, NOW)
    assert not is_good(grant, KEYS, grant.until)


def test_an_unsigned_grant_is_not_good() -> None:
    assert not is_good(a_grant(), KEYS, NOW)


@pytest.mark.parametrize(
    "lie",
    [
        {"agent": "eve"}, {"job": "other"}, {"attempt": "u"}, {"kind": Kind.SAMPLE}, {"frames": (FrameRange(first=1, last=4),)},
        {"bundle": "b" * 64}, {"max_bytes": 10**6}, {"until": NOW + timedelta(days=9)}, {"version": 2}, {"generation": 1},
        {"picture": Picture(width=1, height=1)}, {"key_id": "2"},
    ],
)  # fmt: skip
def test_no_field_of_a_grant_can_be_changed(lie: dict[str, object]) -> None:
    assert not is_good(sign(a_grant(), KEYS).model_copy(update=lie), KEYS, NOW)


def test_a_grant_signed_with_another_key_is_not_good() -> None:
    assert not is_good(sign(a_grant(), {"1": b"x" * 32}), KEYS, NOW)


def test_a_signature_in_other_letters_is_no_good_and_no_mistake_of_ours() -> None:
    assert not is_good(a_grant(mac="é" * 64), KEYS, NOW)


def test_a_grant_allows_its_frames_and_no_others() -> None:
    grant = a_grant(frames=(FrameRange(first=1, last=9, step=4),))
    assert [frame for frame in range(12) if grant.allows(frame)] == [1, 5, 9]
