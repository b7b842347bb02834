"""Runs attacks inside a container, each in a process of its own, and says on stderr how each ended.

The standard library only: this file travels in a bundle, as a renter's would.
"""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

Attack = Callable[..., tuple[bool, str]]
"""Whether it got out, and what it saw. An OSError means that it did not."""
LEFT_OVER = 9
"""Exit code when all attacks were made: no frame came of it."""


def main() -> None:
    with open("/in/bundle/orders.json", encoding="utf-8") as file:
        orders: list[tuple[str, dict[str, Any]]] = json.load(file)
    for name, details in orders:
        _apart(name, details)
    sys.exit(LEFT_OVER)


def _apart(name: str, details: dict[str, Any]) -> None:
    child = os.fork()
    if child == 0:
        try:
            report(name, *_known()[name](**details))
        except OSError as refused:
            report(name, False, refused.strerror or str(refused))
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        report(name, False, f"ended by signal {os.WTERMSIG(status)}")


def _known() -> dict[str, Attack]:
    modules = [importlib.import_module(name) for name in ("reach", "exhaust", "lies")]
    return {name: found for module in modules for name, found in vars(module).items() if callable(found)}


def report(name: str, escaped: bool, words: str) -> None:
    """One line in one write, so that two never mix."""
    os.write(2, f"{name}|{'escaped' if escaped else 'contained'}|{words[:150]}\n".encode())
