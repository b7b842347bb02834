"""Storage on real RabbitMQ, MongoDB and S3: from an upload to packages a renter can open."""

import asyncio
import io
import json
import zipfile
from pathlib import Path

import httpx
import pytest
from PIL import Image

from contracts.events import (
    BundleGranted,
    BundleRequested,
    BundleStored,
    FramesSealed,
    FramesStored,
    JobPackaged,
    JobRendered,
)
from contracts.values import frames as numbers
from tests.integration.storage.players import Lender, Renter, a_bundle
from tests.integration.world import World
from tests.pictures import a_png, pixel_sha256, sha256
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("storage")


async def fetch(url: str) -> bytes:
    async with httpx.AsyncClient() as http:
        answer = await http.get(url)
        answer.raise_for_status()
        return answer.content


async def test_a_job_goes_from_its_bundle_to_packages_that_open(world: World, tmp_path: Path) -> None:
    renter, lender = Renter(world), await Lender.enrolled(world)
    data = a_bundle(salt="main path")
    stored = await renter.upload(data)
    assert isinstance(stored, BundleStored)
    assert (stored.bundle, stored.bytes, stored.files, stored.blends) == (sha256(data), len(data), 2, ("scene.blend",))

    job = await renter.submit(stored.bundle, name="Wave / at <dawn>")
    grant = lender.grant(job, stored.bundle)
    await world.say(lender.id, BundleRequested(grant=grant))
    granted = (await until(lambda: [e for e in lender.box if isinstance(e, BundleGranted)], "the bundle's URL"))[0]
    assert await fetch(granted.url) == data

    pictures = {frame: a_png(shade=10 * frame) for frame in (1, 2, 3, 5, 9)}
    await lender.deliver(grant, pictures)
    told = await world.hear(FramesStored, job=job)
    assert (told.agent, told.attempt, told.chunk, told.version) == (lender.id, grant.attempt, grant.chunk, grant.version)
    assert {frame.frame: frame.pixel_sha256 for frame in told.frames} == {f: pixel_sha256(p) for f, p in pictures.items()}
    assert {frame.frame: frame.file_sha256 for frame in told.frames} == {f: sha256(p) for f, p in pictures.items()}

    await world.say("scheduler", JobRendered(job=job, account=renter.account, fps_milli=12_500))
    sealed = await world.hear(FramesSealed, job=job)
    assert (sorted(numbers(sealed.frames)), sealed.count, sealed.outcome) == ([1, 2, 3, 5, 9], 5, "rendered")

    packaged = await world.hear(JobPackaged, job=job)
    assert {file.name for file in packaged.files} == {"frames.zip", "film.mp4", "contact-sheet.png"}
    found = await renter.downloads(job, "frames.zip", "film.mp4", "contact-sheet.png", "frames/3", "thumbnails/3", "frames/4")
    assert set(found) == {"frames.zip", "film.mp4", "contact-sheet.png", "frames/3", "thumbnails/3"}
    files = {name: await fetch(download.url) for name, download in found.items()}
    assert {name: sha256(content) for name, content in files.items()} == {name: d.sha256 for name, d in found.items()}
    assert files["frames/3"] == pictures[3]
    assert_the_zip_holds(files["frames.zip"], {f"Wave _ at _dawn/{frame:04}.png": data for frame, data in pictures.items()})
    with Image.open(io.BytesIO(files["thumbnails/3"])) as thumbnail, Image.open(io.BytesIO(files["contact-sheet.png"])) as sheet:
        assert (thumbnail.format, thumbnail.width <= 240) == ("WEBP", True)
        assert sheet.format == "PNG"
        sheet.load()
    await assert_the_film_shows(files["film.mp4"], tmp_path, pictures=5, rate="25/2")


def assert_the_zip_holds(data: bytes, wanted: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == wanted


async def assert_the_film_shows(data: bytes, folder: Path, pictures: int, rate: str) -> None:
    path = folder / "film.mp4"
    path.write_bytes(data)
    words = ("-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames,r_frame_rate,width,height", "-of", "json")
    child = await asyncio.create_subprocess_exec("ffprobe", *words, str(path), stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    (stream,) = json.loads(out)["streams"]
    assert (int(stream["nb_read_frames"]), stream["r_frame_rate"], stream["width"], stream["height"]) == (pictures, rate, 64, 36)
