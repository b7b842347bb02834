"""`python -m tests.scenes OUTDIR`: writes every test scene."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.scenes import build_scenes

if __name__ == "__main__":
    made = build_scenes(Path(sys.argv[1]))
    print(*sorted(path.parent.name for path in made.glob("*/scene.blend")))
