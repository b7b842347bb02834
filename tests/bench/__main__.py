"""`python -m tests.bench [NAME]`: one benchmark or all, each in a farm of its own that is removed afterwards."""

import asyncio
import importlib
import os
import sys
from pathlib import Path

from infra.images import rendering
from infra.local import engine, farm
from infra.local.layout import Layout

NAMES = ("startup", "overhead", "assignments", "settlement", "flood", "reactions", "memory", "agent", "simulator", "quotes")
FARMLESS = frozenset({"simulator", "quotes"})
"""Of these the quotes render, and want the engine at least."""


def main(wanted: tuple[str, ...]) -> int:
    if set(wanted) <= {"simulator"}:
        return _run(wanted)
    os.environ.setdefault("FARM_DIR", ".farm-bench")
    layout = Layout.of()
    if set(wanted) <= FARMLESS:
        layout.make()
        engine.ensure(layout)
    else:
        farm.up(layout, farm.INFRA)
    try:
        rendering.remember(layout, rendering.render_image_id())
        return _run(wanted)
    finally:
        farm.down(layout, remove=True)


def _run(wanted: tuple[str, ...]) -> int:
    for name in wanted:
        asyncio.run(importlib.import_module(f"tests.bench.bench_{name}").main())
    return 0


if __name__ == "__main__":
    here = Path(__file__).parent
    known = tuple(name for name in NAMES if (here / f"bench_{name}.py").exists())
    chosen = tuple(sys.argv[1:]) or known
    if not set(chosen) <= set(known):
        sys.exit(f"there are benchmarks {', '.join(known)}")
    sys.exit(main(chosen))
