"""One-time codes: one account's, one machine's, for a while."""

import re
from datetime import UTC, datetime, timedelta
from random import Random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bus import Announcer
from contracts.events import EnrolmentRequested
from services.chassis.clock import DatabaseClock
from services.chassis.repository import SavedThenTold
from services.intake.domain import codes
from services.intake.domain.codes import CODE_BYTES, MOST_A_DAY, MOST_MACHINES, MOST_OPEN, Lender, Terms, code_hash
from services.intake.domain.refusals import Refused
from services.intake.http.desk import GUESSES, Limiter
from services.intake.http.enrolment import owner_of
from services.intake.repository.codes import Codes
from services.scheduler.enrol import NAME

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = Terms(broker="amqps://broker.example:5671/farm")
MINE, OTHER = "A" * 48, "B" * 48
CODE = codes.text(bytes(range(CODE_BYTES)))
HASH = code_hash(CODE)


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def a_lender() -> Lender:
    """With one open code."""
    return codes.made(None, HASH, NOW, TERMS)


def refused(code: str, lender: Lender, hash: str = HASH, secret_hash: str = MINE, at: datetime = NOW) -> bool:
    with pytest.raises(Refused) as why:
        codes.used("ann", lender, hash, "laptop", secret_hash, at)
    return why.value.code == code


def test_a_code_lets_one_machine_in() -> None:
    lender, (event,) = codes.used("ann", a_lender(), HASH, "laptop", MINE, later(14))
    assert event == EnrolmentRequested(agent=codes.agent_of(HASH), owner="ann", name="laptop", secret_hash=MINE)
    assert lender.machines == (event.agent,)


def test_the_same_request_again_changes_nothing_and_another_secret_is_another_machine() -> None:
    lender, _ = codes.used("ann", a_lender(), HASH, "laptop", MINE, NOW)
    assert codes.used("ann", lender, HASH, "laptop", MINE, later(60)) == (lender, []), "also after the code has run out"
    assert refused("code-used", lender, secret_hash=OTHER)


def test_a_code_runs_out() -> None:
    """Positive control: it lets in until then."""
    assert refused("code-expired", a_lender(), at=later(15))
    assert codes.used("ann", a_lender(), HASH, "laptop", MINE, later(14.9))[1]


def test_a_guess_lets_nobody_in() -> None:
    assert refused("code-unknown", a_lender(), hash=code_hash("AAAA-AAAA-AAAA-AAAA"))
    assert refused("code-unknown", Lender())


def test_an_account_has_few_codes_waiting_and_few_a_day() -> None:
    lender: Lender | None = None
    for number in range(MOST_OPEN):
        lender = codes.made(lender, str(number), NOW, TERMS)
    with pytest.raises(Refused, match="wait to be used"):
        codes.made(lender, "more", NOW, TERMS)
    for number in range(MOST_OPEN, MOST_A_DAY):
        lender = codes.made(lender, str(number), later(number * 15), TERMS)
    with pytest.raises(Refused, match="within a day"):
        codes.made(lender, "more", later(MOST_A_DAY * 15), TERMS)
    assert codes.made(lender, "more", NOW + timedelta(days=2), TERMS), "the next day there are new ones"


def test_an_account_has_so_many_machines_and_a_revoked_one_makes_room() -> None:
    full = Lender(machines=tuple(str(number) for number in range(MOST_MACHINES)))
    with pytest.raises(Refused) as why:
        codes.made(full, HASH, NOW, TERMS)
    assert why.value.code == "too-many-machines"
    assert codes.made(codes.without(full, "7"), HASH, NOW, TERMS).codes


def test_nothing_kept_is_the_code() -> None:
    lender, events = codes.used("ann", a_lender(), HASH, "laptop", MINE, NOW)
    assert CODE not in f"{lender}{events}"
    assert CODE.replace("-", "") not in f"{lender}{events}"


@given(st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES), st.integers(0, 1000))
def test_a_code_may_be_typed_in_any_case_with_blanks_and_misread_letters(raw: bytes, seed: int) -> None:
    text, typist = codes.text(raw), Random(seed)
    assert re.fullmatch(r"[A-Z2-7]{4}(-[A-Z2-7]{4}){3}", text)
    misread = {"O": "0", "I": "1", "B": "8", "-": " "}
    typed = "".join(typist.choice((letter, letter.lower(), misread.get(letter, letter))) for letter in text)
    assert code_hash(typed) == code_hash(text)


@given(st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES))
def test_the_id_of_a_machine_needs_no_escaping_at_the_broker(raw: bytes) -> None:
    assert NAME.fullmatch(codes.agent_of(code_hash(codes.text(raw))))


class Found:
    """The collection of codes, with one in it; stands for the database."""

    name = "codes"

    async def find_one(self, query: dict[str, str], _: dict[str, int]) -> dict[str, str] | None:
        return {"_id": "lena"} if query == {"codes.hash": HASH} else None


async def test_wrong_codes_of_a_host_are_limited_and_hold_up_no_good_one() -> None:
    saved = SavedThenTold[Lender]("intake", Found(), Lender, cast(Announcer, None), cast(DatabaseClock, None))
    repository, rate = Codes(saved), Limiter(GUESSES)

    async def outcome(hash: str, host: str = "10.0.0.7") -> str:
        try:
            return await owner_of(repository, rate, hash, host)
        except Refused as refused:
            return refused.code

    wrong = [await outcome(code_hash(f"wrong {number}")) for number in range(12)]
    assert wrong == ["code-unknown"] * 10 + ["too-many-requests"] * 2
    assert await outcome(HASH) == "lena"
    assert await outcome(code_hash("wrong"), "10.0.0.8") == "code-unknown"
