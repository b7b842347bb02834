"""Failures on real Docker with the real render image. They are provoked a few at a time, once for all tests of this folder."""

import asyncio
import shutil
import time
import traceback
from pathlib import Path

import pytest

from agent.domain.attempt import Ending
from infra.images.rendering import render_image_id
from infra.images.sandbox import run_locked
from tests.failures.by_lender import BY_LENDER
from tests.failures.by_program import BY_PROGRAM
from tests.failures.by_scene import BY_SCENE
from tests.failures.labels import failures
from tests.failures.matrix import Outcome
from tests.failures.ward import Provoke, a_ward

HERE = Path(__file__).resolve().parent
PROVOKE = {**BY_SCENE, **BY_PROGRAM, **BY_LENDER}
AT_ONCE = 3


class Infirmary:
    """Provokes each failure at most once."""

    def __init__(self, image: str, scenes: Path, folder: Path) -> None:
        self._image, self._scenes, self._folder = image, scenes, folder
        self._places = asyncio.Semaphore(AT_ONCE)
        self._made: dict[str, Outcome] = {}

    async def outcomes(self, names: list[str]) -> dict[str, Outcome]:
        """Of those that could be provoked; why another could not is printed, and its test fails."""
        made = await asyncio.gather(*map(self._provoke, names), return_exceptions=True)
        for name, error in zip(names, made, strict=True):
            if error is not None:
                print(name, "could not be provoked:", *traceback.format_exception(error))
        return {name: self._made[name] for name in names if name in self._made}

    async def _provoke(self, name: str) -> None:
        began = time.monotonic()
        ending = await self.ending(name, PROVOKE[name])
        self._made[name] = Outcome(failures()[name], ending, time.monotonic() - began)

    async def ending(self, name: str, provoke: Provoke) -> Ending:
        async with self._places, a_ward(self._folder / name, self._image, self._scenes) as ward:
            return await provoke(ward)


@pytest.fixture(scope="session")
def infirmary(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Infirmary:
    folder = tmp_path_factory.mktemp("failures")
    more = shutil.copytree(scenes, folder / "scenes")
    _broken_scenes(folder / "maker", more)
    return Infirmary(render_image_id(), more, folder)


def _broken_scenes(maker: Path, scenes: Path) -> None:
    maker.mkdir()
    for script in (HERE / "broken_scenes.py", *(HERE.parent / "scenes").glob("*.py")):
        shutil.copy(script, maker)
    done = run_locked(render_image_id(), maker, scenes, "python3", "/in/broken_scenes.py", "/out", seconds=120)
    assert done.returncode == 0, done.stderr
