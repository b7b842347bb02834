"""What a careless or hostile renter sends, through the real door and the real house agent: each gets a clear answer, pays at most
for the look at the file, and the farm goes on. What one service can decide alone is tested beside that service.
"""

import asyncio
import hashlib
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from framelend import Client, FarmProblem, Job, Upload

from contracts.topology import SERVICES
from tests.farm.farmhouse import Account, Farm
from tests.farm.renting import reached, submitted
from tests.waiting import until

HOPELESS = {
    "garbled": ("cannot_open", "cannot open"),
    "truncated": ("cannot_open", "cannot open"),
    "newer": ("newer_blender", "newer"),
    "no_camera": ("no_camera", "no active camera"),
    "eevee": ("engine", "EEVEE"),
    "workbench": ("engine", "Workbench"),
    "missing_texture": ("missing_image", "not-there.png"),
}
"""Scene → code and words of the finding that ends the job."""
CREDITS = Decimal(60)


async def test_files_that_cannot_be_rendered_end_with_words_for_the_renter_and_cost_only_the_look(
    house: Farm, scenes: Path, tmp_path: Path
) -> None:
    renter = await house.account("rita", credits=int(CREDITS))
    (tmp_path / "garbled").mkdir()
    (tmp_path / "garbled/scene.blend").write_bytes(b"BLENDER17-01v0500" + bytes(range(256)) * 40)
    where = {name: (scenes if (scenes / name).exists() else tmp_path) / name for name in HOPELESS}
    good = asyncio.create_task(submitted(house, renter, scenes / "ok_small", "1-2"))
    jobs = await asyncio.gather(*(submitted(house, renter, path, "1-2") for path in where.values()))
    for name, job in zip(HOPELESS, jobs, strict=True):
        _is_explained(await _until(house, renter, job, lambda one: one.ended and one.settlement is not None), name)
    quoted = await _until(house, renter, await good, lambda one: one.quote is not None)
    assert not [one for one in quoted.findings if one.severity == "error"], "the same way without the mistake ends in a quote"
    await _declined(house, renter, quoted)
    await _everybody_lives(house)


def _is_explained(job: Job, name: str) -> None:
    code, words = HOPELESS[name]
    assert job.state == "failed", name
    found = next((one for one in job.findings if one.code == code), None)
    assert found is not None, (name, job.findings)
    assert (found.severity, words in found.text, bool(found.fix)) == ("error", True, True), found
    assert job.failure is not None
    assert (job.failure.code, job.failure.reason) == (found.code, found.text)
    assert job.failure.hint.startswith(found.fix)
    assert (f"framelend apply {job.id} render-with-cycles" in job.failure.hint) is (code == "engine"), (
        "what the farm can do itself"
    )
    assert job.settlement is not None
    assert (job.settlement.outcome, job.stored) == ("failed", 0)
    assert not any(line.amount for line in job.settlement.lines if line.code != "sampling"), "only the look is charged"
    assert job.settlement.charged < Decimal("0.1")


async def _declined(house: Farm, renter: Account, quoted: Job) -> None:
    """Afterwards nothing is held, and what is gone is what the bills say."""
    assert quoted.quote is not None
    with house.client(renter) as client:
        client.decline(quoted.id, quoted.quote.version)
        await _until(house, renter, quoted.id, lambda one: one.settlement is not None)
        bills = [client.job(line.id).settlement for line in client.jobs()]
        charged = sum((bill.charged for bill in bills if bill is not None), Decimal())
        await until(lambda: client.account().balances.held == 0, "nothing is held")
        assert client.account().balances.available == CREDITS - charged


async def test_archives_that_would_harm_are_refused_at_the_door(house: Farm, tmp_path: Path) -> None:
    renter = await house.account("mallory", credits=5)
    with house.client(renter) as client:
        for code, make in ARCHIVES.items():
            path = tmp_path / code
            make(path)
            upload = await asyncio.to_thread(client.upload, path)
            assert (upload.state, upload.code) == ("rejected", code), upload.text
            assert upload.text.endswith("."), "a sentence says what to do"
            with pytest.raises(FarmProblem) as refused:
                client.submit(upload.sha256, "0.01")
            assert refused.value.status in (404, 409), "what was rejected can be rendered by nobody"
        _zip(tmp_path / "good", {"scene.blend": b"BLENDER17-01v0500" + bytes(100)})
        assert (await asyncio.to_thread(client.upload, tmp_path / "good")).state == "stored"
    await _everybody_lives(house)


async def test_a_hash_that_is_a_lie_is_found_out_and_a_strangers_bundle_stays_his(
    house: Farm, scenes: Path, tmp_path: Path
) -> None:
    owner, thief = await house.account("rita", credits=5), await house.account("mallory", credits=5)
    _zip(tmp_path / "owned", {"scene.blend": (scenes / "ok_small/scene.blend").read_bytes()})
    with house.client(owner) as client:
        owned = await asyncio.to_thread(client.upload, tmp_path / "owned")
        assert owned.state == "stored"
    _zip(tmp_path / "own", {"scene.blend": b"BLENDER17-01v0500"})
    with house.client(thief) as client:
        with pytest.raises(FarmProblem) as refused:
            client.submit(owned.sha256, "0.01")
        assert refused.value.status == 404
        told = await asyncio.to_thread(_upload_as, client, (tmp_path / "own").read_bytes(), owned.sha256)
        assert (told.state, told.code) == ("rejected", "wrong_hash"), told.text
        with pytest.raises(FarmProblem):
            client.submit(owned.sha256, "0.01")


async def test_a_quote_above_the_renters_limit_cannot_be_accepted_and_says_so(house: Farm, scenes: Path) -> None:
    renter = await house.account("rita", credits=50)
    job = await submitted(house, renter, scenes / "ok_small", "1-6", price="1000", max_cost="2")
    with house.client(renter) as client:
        quoted = await _until(house, renter, job, lambda one: one.quote is not None)
        assert quoted.quote is not None
        assert (quoted.quote.within_max_cost, quoted.quote.open) == (False, False), quoted.quote
        with pytest.raises(FarmProblem, match="above the job's max_cost of 2") as refused:
            client.accept(job, quoted.quote.version)
        assert refused.value.status == 409
        client.cancel(job)
        bill = (await _until(house, renter, job, lambda one: one.settlement is not None)).settlement
        assert bill is not None
        assert bill.charged <= 2
        await until(lambda: client.account().balances.held == 0, "nothing is held")


async def test_a_job_without_the_money_for_its_deposit_ends_at_once_and_says_what_is_lacking(house: Farm, scenes: Path) -> None:
    poor = await house.account("poor")
    job = await submitted(house, poor, scenes / "ok_small", "1-2")
    ended = await _until(house, poor, job, lambda one: one.ended and one.failure is not None)
    assert ended.failure is not None
    assert (ended.failure.code, "0 are available" in ended.failure.reason) == ("deposit_refused", True), ended.failure
    assert "credits" in ended.failure.hint


async def _until(house: Farm, renter: Account, job: str, condition: Callable[[Job], bool]) -> Job:
    def wait() -> Job:
        with house.client(renter) as client:
            return reached(client, job, condition, 240, ended_is_fine=True)

    return await asyncio.to_thread(wait)


async def _everybody_lives(house: Farm) -> None:
    for process in (*house.services.values(), *house.agents.values()):
        assert await asyncio.to_thread(process.healthy), process.name
    for service in SERVICES:
        dead = [(letter.headers["x-inbox"], letter.headers["x-reason"]) for letter in await house.world.dead(service)]
        assert dead == [], service


def _upload_as(client: Client, data: bytes, sha256: str) -> Upload:
    """Sends these bytes under that hash."""
    upload = client.request_upload(len(data), sha256)
    for part in client.parts(upload.id, 0).parts:
        httpx.put(part.url, content=data).raise_for_status()
    client.finish_upload(upload.id)
    return client.upload_state(upload.id, wait=20)


def _zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _above(path: Path) -> None:
    _zip(path, {"scene.blend": b"BLENDER", "../above.txt": b"x"})


def _link(path: Path) -> None:
    _zip(path, {"scene.blend": b"BLENDER"})
    link = zipfile.ZipInfo("textures")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc")


def _bomb(path: Path) -> None:
    _zip(path, {"scene.blend": b"BLENDER", "zeros.bin": bytes(64 << 20)})


def _no_archive(path: Path) -> None:
    path.write_bytes(b"BLENDER17-01v0500" + hashlib.sha512(b"").digest() * 10)


def _text(path: Path) -> None:
    _zip(path, {"scene.blend": b"this is no scene\n" * 20})


ARCHIVES: dict[str, Callable[[Path], None]] = {
    "path_escape": _above,
    "link": _link,
    "bomb": _bomb,
    "not_an_archive": _no_archive,
    "no_blend": _text,
}
