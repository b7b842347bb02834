"""Packages on real ffmpeg: odd sizes, missing frames, and pictures no film can be made of."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from services.storage.packing import Filming, Sheeting, Taker, Zipping
from tests.pictures import a_png


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Reachable for the confined user, as the service's own folder is."""
    for parent in [tmp_path, *tmp_path.parents][:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    return tmp_path


async def made(taker: Taker, pictures: Mapping[int, bytes]) -> Path | None:
    await taker.begin()
    try:
        for frame, data in pictures.items():
            await taker.take(frame, data)
        return await taker.end()
    finally:
        await taker.close()


async def test_a_film_of_odd_sized_pictures_is_made_and_counted(folder: Path) -> None:
    film = await made(Filming(folder, 23_976), {frame: a_png(65, 37, shade=frame) for frame in (1, 5, 6)})
    assert film is not None
    assert film.read_bytes()[4:8] == b"ftyp"


async def test_a_film_that_cannot_be_made_is_left_out(folder: Path) -> None:
    assert await made(Filming(folder, 24_000), {1: b"no picture" * 1_000}) is None


async def test_a_sheet_that_cannot_be_made_is_left_out(folder: Path) -> None:
    assert await made(Sheeting(folder, [1]), {1: b"no picture"}) is None


async def test_a_sheet_shows_transparent_pictures_too(folder: Path) -> None:
    sheet = await made(Sheeting(folder, [1, 2, 3]), {frame: a_png(shade=frame, mode="RGBA") for frame in (1, 2, 3)})
    assert sheet is not None
    with Image.open(sheet) as page:
        page.load()
        assert page.mode == "RGB"


async def test_the_same_frames_give_the_same_zip(folder: Path) -> None:
    pictures = {frame: a_png(shade=abs(frame)) for frame in (-3, 1, 12_345)}
    packed = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        path = await made(Zipping(folder / name, "Wave", list(pictures)), pictures)
        assert path is not None
        packed.append(path.read_bytes())
    assert packed[0] == packed[1]
    with zipfile.ZipFile(io.BytesIO(packed[0])) as archive:
        assert archive.namelist() == ["Wave/-00003.png", "Wave/00001.png", "Wave/12345.png"]
