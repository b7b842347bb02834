"""Makes films as `<name>/scene.blend`. Runs inside the render image: `python3 build.py OUTDIR judged|tuning`."""

from __future__ import annotations

import importlib
import os
import sys

import bpy


def main(folder: str, which: str) -> None:
    for film in importlib.import_module(which).FILMS:
        film()
        os.makedirs(f"{folder}/{film.__name__}", exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/{film.__name__}/scene.blend", compress=True, relative_remap=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
