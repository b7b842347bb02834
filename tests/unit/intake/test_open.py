"""How much of what stays open one account may have: requests that wait, and uploads that are not finished."""

import asyncio
from collections.abc import Callable

import pytest

from services.intake.domain import uploads
from services.intake.domain.refusals import Refused, Why
from services.intake.http.desk import MOST_OPEN, Open, streams, waits
from services.intake.repository.bell import Bell

GIB = 1 << 30


async def a_wait(bell: Bell, open: Open, account: str, seconds: float) -> str:
    """As a route does."""

    async def look() -> str | None:
        return None

    try:
        with open.one(account, seconds):
            await bell.until("news", seconds, look)
    except Refused as refused:
        return refused.code if refused.why is Why.TOO_MANY else "refused otherwise"
    return "answered"


async def test_an_account_waits_for_so_many_things_at_once_and_others_are_not_held_up() -> None:
    bell, open = Bell(), waits()
    waiting = [asyncio.create_task(a_wait(bell, open, "rita", 30)) for _ in range(MOST_OPEN)]
    await asyncio.sleep(0)
    assert await a_wait(bell, open, "rita", 30) == "too-many-waits"
    assert await a_wait(bell, open, "rita", 0) == "answered", "a look that waits for nothing"
    other = asyncio.create_task(a_wait(bell, open, "ada", 30))
    bell.silence()
    assert {await one for one in (*waiting, other)} == {"answered"}
    assert await a_wait(bell, open, "rita", 30) == "answered", "they have ended"


async def test_who_goes_away_while_he_waits_is_not_counted_any_more() -> None:
    bell, open = Bell(), waits()
    waiting = [asyncio.create_task(a_wait(bell, open, "rita", 30)) for _ in range(MOST_OPEN)]
    await asyncio.sleep(0)
    for one in waiting:
        one.cancel()
    await asyncio.wait(waiting)
    bell.silence()
    assert await a_wait(bell, open, "rita", 30) == "answered"


@pytest.mark.parametrize("sort", [streams, waits])
def test_each_sort_is_counted_by_itself(sort: Callable[[], Open]) -> None:
    open = sort()
    for _ in range(MOST_OPEN):
        open.enter("rita")
    with pytest.raises(Refused):
        open.enter("rita")
    open.leave("rita")
    open.enter("rita")


@pytest.mark.parametrize(
    ("unfinished", "size", "fits"),
    [
        ([], 1 << 40, True),  # how large one may be, storage says
        ([1] * (uploads.MOST_OPEN - 1), 1, True),
        ([1] * uploads.MOST_OPEN, 1, False),
        ([64 * GIB], 64 * GIB, True),
        ([64 * GIB], 64 * GIB + 1, False),
    ],
)
def test_uploads_that_are_not_finished_are_bounded_in_number_and_bytes(unfinished: list[int], size: int, fits: bool) -> None:
    if fits:
        return uploads.check_room(unfinished, size)
    with pytest.raises(Refused, match="not finished") as refused:
        uploads.check_room(unfinished, size)
    assert refused.value.code == "too-many-uploads"


def test_every_state_without_a_verdict_counts_as_open() -> None:
    assert {state for state, after in uploads.AFTER.items() if after} == uploads.OPEN
