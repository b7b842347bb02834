"""`python -m infra.images [render|services|agent|all|render-gpu]`: builds what is missing or out of date, else says so at once.

`all` leaves out `render-gpu`: 100 MB more that only machines with a GPU need.
"""

from __future__ import annotations

import argparse
import sys
import time

from infra.images import ours, rendering
from infra.images.engine import say
from infra.local import engine
from infra.local.failure import FarmError
from infra.local.layout import Layout


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.images", description=__doc__)
    parser.add_argument("which", nargs="?", default="render", choices=("render", "services", "agent", "all", "render-gpu"))
    which = parser.parse_args(arguments).which
    try:
        layout = Layout.of()
        if not engine.answers():
            layout.make()
            say(f"Docker Engine: {engine.ensure(layout)}")
        for name in ("render", "services", "agent") if which == "all" else (which,):
            _image(name, layout)
    except FarmError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _image(name: str, layout: Layout) -> None:
    began = time.monotonic()
    target = rendering.TARGETS.get(name)
    made = rendering.render_image_id(target) if target else ours.image(name)
    if target:
        rendering.remember(layout, made, target)
    say(f"{name} {made} ({time.monotonic() - began:.1f} s)")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
