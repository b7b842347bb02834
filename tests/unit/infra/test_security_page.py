"""docs/security.md claims no more attempts than are made, and every lock of the sandbox has an attack that needs it off."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from agent.lockdown import Guards
from tests.envelopes import BROKEN
from tests.failures import test_failures as provoked
from tests.failures.labels import Label, failures
from tests.security import attacks
from tests.security import test_broker_envelopes as envelopes
from tests.security import test_escape_exhaust as exhaust
from tests.security import test_escape_lies as lies
from tests.security import test_escape_reach as reach
from tests.security import test_escape_talk as talk
from tests.security import test_tampered as tampered

PAGE = Path("docs/security.md")
MADE: dict[str, tuple[int, ...]] = {
    "test_broker_permissions.py": (len(attacks.everything()),),
    "test_broker_envelopes.py": (len(envelopes.FORGED), len(envelopes.HARMLESS), len(BROKEN) + 1),
    "test_escape_reach.py": (len(reach.LOCKS), 2 * len(reach.LOCKS) + len(reach.DOUBLE)),
    "test_escape_exhaust.py": (len(exhaust.ATTACKS),),
    "test_escape_talk.py": (len(talk.FLOODS), len(talk.CODE)),
    "test_escape_lies.py": (len(lies.LIES),),
    "test_tampered.py": (len(tampered.TAMPERED),),
}


@pytest.mark.parametrize("suite", MADE)
def test_the_page_claims_no_more_attempts_than_are_made(suite: str) -> None:
    row = next(line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{suite}`"))
    claimed = [int(number) for number in re.findall(r"\d+", row.split("|")[2])]
    assert len(claimed) >= len(MADE[suite])
    for number, made in zip(claimed, MADE[suite], strict=False):  # a row may go on with numbers of other things
        assert 0 < number <= made


def test_every_lock_of_the_sandbox_is_turned_off_by_a_test_to_show_that_it_is_what_holds() -> None:
    off = {lock for locks in reach.LOCKS.values() for lock in locks} | {lock for lock, _ in exhaust.ATTACKS.values()}
    said = "".join(path.read_text(encoding="utf-8") for folder in ("security", "integration") for path in _tests(folder))
    off |= {lock.name for lock in fields(Guards) if re.search(rf"\b{lock.name}=", said)}
    assert off == {lock.name for lock in fields(Guards)}


@pytest.mark.parametrize("page", ["docs/security.md", "docs/decisions/0025-failure-classes.md"])
def test_as_many_failures_are_claimed_as_are_labelled(page: str) -> None:
    labels = [one.label for one in failures().values()]
    text = " ".join(Path(page).read_text(encoding="utf-8").split())
    said = re.search(r"(\d+) failures and (\d+) that only look like one", text)
    assert said is not None
    assert tuple(map(int, said.groups())) == (len(labels) - labels.count(Label.NONE), labels.count(Label.NONE))


def test_as_many_are_claimed_to_be_provoked_as_have_a_test() -> None:
    text = PAGE.read_text(encoding="utf-8")
    said = re.search(r"(\d+) in `make test`, all (\d+) in `make test-long`", text)
    assert said is not None
    assert tuple(map(int, said.groups())) == (len(provoked.QUICK), len(provoked.QUICK) + len(provoked.SLOW))


def _tests(folder: str) -> list[Path]:
    return sorted(Path("tests", folder).rglob("test_*.py"))
