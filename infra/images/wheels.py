"""Wheels for images, fetched here and carried in: inside a build an installer may not reach or trust its index."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.images.engine import say
from infra.local.failure import FarmError
from infra.local.layout import CHECKOUT

WORK = CHECKOUT / "build" / "images"
DISTRIBUTION = "framelend-farm"


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One build at a time on this checkout: two farms may ask for the same image at once."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fresh_folder(name: str, files: Iterable[Path]) -> Path:
    """A build context with these files: nothing else of the checkout reaches the engine."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in files:
        shutil.copy(path, folder)
    return folder


def fetch(lock: Path, folder: Path) -> None:
    """Fills `folder` with exactly what the lock names, checked by hash. Kept beside, so the next build need not download."""
    kept = WORK / "wheels" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not kept.exists():
        say(f"fetching {lock.read_text().count('==')} wheels")
        draft = kept.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        _pip("download", "--no-deps", "--require-hashes", "--only-binary=:all:", "-d", str(draft), "-r", str(lock))
        draft.rename(kept)
    shutil.copytree(kept, folder, copy_function=os.link)


def build_ours(folder: Path) -> None:
    """Our own wheel, from the checkout as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = WORK / "source"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(CHECKOUT / name, draft)
    for name in ("contracts", "services", "agent"):
        shutil.copytree(CHECKOUT / name, draft / name, ignore=shutil.ignore_patterns("__pycache__"))
    _pip("wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(folder), str(draft))


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FarmError("images", f"pip {words[0]} failed: {done.stderr.strip()[-600:]}", advice="is the network there?")


def locked(extra: str, lock: Path) -> str:
    """The part of the lock that `framelend-farm[extra]` needs, markers of this platform applied."""
    wanted = _closure(extra)
    return "".join(block for name, block in _blocks(lock.read_text()) if name in wanted)


def _closure(extra: str) -> set[str]:
    seen: set[tuple[str, str]] = set()
    waiting = [(DISTRIBUTION, extra)]
    while waiting:
        name, chosen = waiting.pop()
        if (name, chosen) not in seen:
            seen.add((name, chosen))
            waiting += _needs(name, chosen)
    return {name for name, _ in seen if name != DISTRIBUTION}


def _needs(name: str, extra: str) -> Iterator[tuple[str, str]]:
    for line in importlib.metadata.requires(name) or ():
        need = Requirement(line)
        if need.marker is None or need.marker.evaluate({"extra": extra}):
            yield from ((canonicalize_name(need.name), chosen) for chosen in ("", *need.extras))


def _blocks(lock: str) -> Iterator[tuple[str, str]]:
    """`(name, its lines)` for each pin; the comments that say why are left out."""
    name, lines = "", list[str]()
    for line in lock.splitlines(keepends=True):
        if line.strip() and not line.startswith((" ", "#")):
            if name:
                yield name, "".join(lines)
            name, lines = canonicalize_name(line.split("==")[0].split("[")[0]), []
        if name and not line.lstrip().startswith("#"):
            lines.append(line)
    if name:
        yield name, "".join(lines)


def digest(paths: Iterable[Path], *words: str) -> str:
    """One hash over names and contents: the inputs of an image."""
    total = hashlib.sha256("\0".join(words).encode())
    for path in sorted(paths):
        total.update(f"{path.relative_to(CHECKOUT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:32]
