"""An agent's credential opens its own mailbox and its own keys, and nothing else: each attempt refused.

Each also shows that it would have worked: with every permission there is, the same hostile client succeeds.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from infra.local.farmfile import FarmFile
from tests.security.attacks import everything, reading, shaping, speaking
from tests.security.intruder import Stage, refusal

FAMILIES = {"reading": reading, "speaking": speaking, "shaping": shaping}
NO = ("ACCESS_REFUSED", "PRECONDITION_FAILED - user_id")
"""What the broker says when it is the permission that is lacking, and not something else that went wrong."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def broken(farm: FarmFile) -> AsyncIterator[Stage]:
    it = Stage(farm)
    it.open()
    yield it
    await it.close()


def test_there_are_at_least_a_hundred_attempts_with_names_of_their_own() -> None:
    names = [attack.name for attack in everything()]
    assert len(names) == len(set(names))
    assert len(names) >= 100
    print(f"{len(names)} attempts")


@pytest.mark.parametrize("family", FAMILIES)
async def test_every_attempt_is_refused(stage: Stage, family: str) -> None:
    attacks = list(FAMILIES[family]())
    said = {attack.name: await refusal(stage, stage.ann, attack) for attack in attacks}
    print(f"{family}: {len(attacks)} attempts, {sum(not one for one in said.values())} let through")
    assert [name for name, one in said.items() if not any(no in one for no in NO)] == []


@pytest.mark.parametrize("family", FAMILIES)
async def test_with_too_wide_permissions_every_attempt_succeeds(broken: Stage, family: str) -> None:
    """The positive control."""
    failed = []
    for attack in FAMILIES[family]():
        if said := await refusal(broken, broken.wide, attack):
            failed.append(f"{attack.name}: {said[:150]}")
    assert failed == []
