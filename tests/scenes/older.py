"""Saves the scenes of flaws.py by older Blenders: `python -m tests.scenes.older SITE…`, each SITE a folder with one version's bpy
(`pip install --no-deps --target SITE bpy==4.2.23 numpy==1.26.4`, and the same with 4.5.15; Python 3.11).

Done once and kept in `saved/`, since the farm itself needs Blender 5.0 only and each of the wheels is 350 MB. Run it again when
flaws.py grows.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SAVED = HERE / "saved"


def save(site: Path) -> Path:
    """The archive of one version's files."""
    version = re.sub(r"^(\d+\.\d+).*", r"\1", next(site.glob("bpy-*.dist-info")).name.removeprefix("bpy-"))
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HOME": "/tmp", "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, HERE / "flaws.py", folder], env=environment, check=True, timeout=300)
        with tarfile.open(SAVED / f"{version}.tar.xz", "w:xz", preset=9) as archive:
            for path in sorted(Path(folder).rglob("*")):
                archive.add(path, path.relative_to(folder), recursive=False, filter=_anonymous)
    return SAVED / f"{version}.tar.xz"


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        made = save(Path(argument))
        print(made.name, made.stat().st_size)
