"""One real .blend from upload to invoice, by a house agent and two lenders; the pictures are Blender's own, to the pixel."""

import asyncio
import json
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
from framelend import FarmProblem, Job, fetching

from contracts.events import FramesRendered, FramesSealed, FramesStored, JobSettled
from contracts.values import MICRO, frames
from infra.images.rendering import render_image_id
from infra.images.sandbox import run_locked
from tests.farm.farmhouse import Account, Farm
from tests.farm.renting import accepted, settled, submitted
from tests.scenes.pixels import pixel_sha256
from tests.waiting import until

FRAMES = range(1, 17)


async def test_a_job_is_rendered_by_two_lenders_and_every_pixel_is_blenders_own(
    house: Farm, scenes: Path, tmp_path: Path
) -> None:
    renter = await house.account("rita", credits=50)
    lena, leo = await house.account("lena", "lender"), await house.account("leo", "lender")
    agents = [await house.lend(lena.id, "lena", cpus=1), await house.lend(leo.id, "leo", cpus=1)]
    job_id = await submitted(house, renter, scenes / "textured", "1-16")
    await accepted(house, renter, job_id)
    job = await settled(house, renter, job_id)
    assert job.state == "completed", job.reason
    assert {line.agent for line in job.agents if line.stored} >= set(agents)
    await asyncio.to_thread(_compare_pictures, house, renter, job, scenes / "textured", tmp_path)
    _compare_money(house, job)
    await _compare_earnings(house, [(lena, agents[0]), (leo, agents[1])], job)
    await _nobody_else_sees_it(house, job)
    await until(lambda: _mail_to(house, renter), "the mail that says it is done")


def _compare_pictures(house: Farm, renter: Account, job: Job, scene: Path, folder: Path) -> None:
    with house.client(renter) as client:
        names = [f"frames/{number}" for number in FRAMES]
        got = fetching.fetch(client, job.id, names, folder / "frames", lambda path, size: None)
        fetching.fetch(client, job.id, [file.name for file in job.files], folder, lambda path, size: None)
    direct = _direct(scene, folder)
    assert [pixel_sha256(path) for path in sorted(got)] == [pixel_sha256(path) for path in direct]
    with zipfile.ZipFile(folder / "frames.zip") as archive:
        assert archive.testzip() is None
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == len(FRAMES)
    assert (folder / "film.mp4").stat().st_size > 1_000


def _direct(scene: Path, folder: Path) -> list[Path]:
    """The same frames by a bare loop in the same image, without the farm."""
    inside, out = folder / "in", folder / "direct"
    (inside / "bundle").mkdir(parents=True)
    out.mkdir()
    for path in scene.rglob("*"):
        if path.is_file():
            target = inside / "bundle" / path.relative_to(scene)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    (inside / "task.json").write_text(json.dumps({"blend": "/in/bundle/scene.blend", "frames": list(FRAMES), "settings": {}}))
    done = run_locked(render_image_id(), inside, out, "python3", "/opt/framelend/driver.py", seconds=120)
    assert done.returncode == 0, done.stderr[-1000:]
    return sorted(out.glob("*.png"))


def _compare_money(house: Farm, job: Job) -> None:
    world, settlement = house.world, job.settlement
    assert settlement is not None
    assert job.quote is not None
    assert sum((line.amount for line in settlement.lines), Decimal()) == settlement.charged
    assert Decimal() < settlement.charged <= job.quote.price
    sealed = world.said(FramesSealed, job=job.id)[0]
    assert sorted(frames(sealed.frames)) == list(FRAMES)
    stored = [one.frame for fact in world.said(FramesStored, job=job.id) for one in fact.frames]
    assert sorted(stored) == list(FRAMES), "each frame is stored once"
    rendered = [one.frame for fact in world.said(FramesRendered) if fact.grant.job == job.id for one in fact.frames]
    assert sorted(set(rendered)) == list(FRAMES)
    assert len(world.said(JobSettled, job=job.id)) == 1


async def _compare_earnings(house: Farm, lenders: list[tuple[Account, str]], job: Job) -> None:
    told = house.world.said(JobSettled, job=job.id)[0]
    for owner, agent in lenders:
        earned = sum(share.earned_micro for share in told.agents if share.agent == agent)
        with house.client(owner) as client:
            mine = client.earnings()
            balance = client.account().balances
        assert int(mine.earned * MICRO) == earned > 0
        assert int((balance.pending + balance.payable) * MICRO) == earned


async def _nobody_else_sees_it(house: Farm, job: Job) -> None:
    stranger = await house.account("eve")
    with house.client(stranger) as client, pytest.raises(FarmProblem) as refused:
        client.job(job.id)
    assert refused.value.status == 404


def _mail_to(house: Farm, account: Account) -> list[str]:
    folder = Path(house.world.farm["FARM_MAIL_DIR"])
    mine = (path.read_text(errors="replace") for path in folder.glob("*.eml"))
    return [text for text in mine if account.email in text and ("settled" in text.lower() or "invoice" in text.lower())]
