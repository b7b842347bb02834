"""Waiting for a condition with a deadline, instead of sleeping for luck."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def until(condition: Callable[[], Coroutine[object, object, T]], what: str, seconds: float = 60) -> T: ...
@overload
async def until(condition: Callable[[], T], what: str, seconds: float = 60) -> T: ...
async def until(condition: Callable[[], object], what: str, seconds: float = 60) -> object:
    """The first truthy answer of `condition`. Raises AssertionError naming `what` when time is up."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        found = await answer if inspect.isawaitable(answer) else answer
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.05)
