"""Whoever waits hears a bell that rings, also one that rang while he was still looking."""

import asyncio
import time

import pytest

from services.chassis.bell import Bell

LONG = 60.0


async def test_all_who_wait_hear_one_ring() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.after(bell.rings, LONG)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    bell.ring()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)


async def test_a_ring_while_somebody_looks_is_not_lost() -> None:
    bell = Bell()
    before = bell.rings
    bell.ring()
    await asyncio.wait_for(bell.after(before, LONG), 5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bell.after(bell.rings, LONG), 0.01)


async def test_without_a_ring_the_wait_ends_in_its_time() -> None:
    bell, began = Bell(), time.monotonic()
    await bell.after(bell.rings, 0.02)
    assert time.monotonic() - began < LONG
