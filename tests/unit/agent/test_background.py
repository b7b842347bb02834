"""A process in which something of an attempt has failed does not go on as if nothing had happened."""

import asyncio
import contextlib

import pytest

from agent.app import LOST_EVERYTHING, _until_broken, _until_stopped
from agent.workplace import Background
from tests.waiting import until


async def _fails() -> None:
    raise OSError("the journal cannot be written")


async def _waits() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("fails", [True, False])
async def test_a_task_that_fails_ends_the_process_and_one_that_waits_does_not(fails: bool) -> None:
    background, stopping = Background(), asyncio.Event()
    loops = [asyncio.create_task(_until_broken(background), name="attempts")]
    background.start(_fails() if fails else _waits(), "render attempt-1")
    ended = asyncio.create_task(_until_stopped(loops, stopping))
    if fails:
        await until(ended.done, "the process ends", 10)
    assert ended.done() is fails
    stopping.set()
    assert await ended == (LOST_EVERYTHING if fails else 0)
    await background.finish(0)
    for loop in loops:
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop


async def test_a_task_that_was_cancelled_has_not_failed() -> None:
    background = Background()
    background.start(_waits(), "upload attempt-1").cancel()
    await background.finish(1)
    assert not background.broken.is_set()
