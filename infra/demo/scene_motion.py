"""How things move in the sample animation: by drivers that Blender evaluates without Python, and that loop."""

from __future__ import annotations

import math
from typing import Any

FRAMES = 48
TURN = f"((frame - 1) * {2 * math.pi / FRAMES:.8f})"  # runs once around in the whole film: what uses it loops


def move(thing: Any, path: str, axis: int, expression: str) -> None:
    """A driver; refused here already if Blender would need Python for it."""
    driver = thing.driver_add(path, axis).driver
    driver.type, driver.expression = "SCRIPTED", expression
    if not driver.is_simple_expression:
        raise SystemExit(f"not a simple expression: {expression}")
