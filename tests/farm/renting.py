"""A renter's whole way, as the tests walk it."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from framelend import Client, Job, bundling

from tests.farm.farmhouse import Account, Farm


async def submitted(farm: Farm, renter: Account, scene: Path, frames: str | None, price: str = "0.01", **more: Any) -> str:
    """Bundle, upload, submit (`more`: what else `Client.submit` takes); the job's id."""
    return await asyncio.to_thread(_submitted, farm, renter, scene, frames, price, **more)


def _submitted(farm: Farm, renter: Account, scene: Path, frames: str | None, price: str, **more: Any) -> str:
    with farm.client(renter) as client, tempfile.TemporaryDirectory() as folder:
        bundle = bundling.pack(bundling.gather(scene), Path(folder) / "bundle.zip")
        upload = client.upload(bundle.path)
        assert upload.state == "stored", upload.text
        return client.submit(upload.sha256, price, frames=frames, name=scene.name, **more).id


async def accepted(farm: Farm, renter: Account, job: str, seconds: float = 120) -> Job:
    """Waits for the quote and accepts it."""
    return await asyncio.to_thread(_accepted, farm, renter, job, seconds)


def _accepted(farm: Farm, renter: Account, job: str, seconds: float) -> Job:
    with farm.client(renter) as client:
        quoted = reached(client, job, lambda one: one.quote is not None and one.quote.open, seconds)
        assert quoted.quote is not None
        return client.accept(job, quoted.quote.version)


async def settled(farm: Farm, renter: Account, job: str, seconds: float = 240) -> Job:
    """Waits until the job has ended and its bill is there."""

    def wait() -> Job:
        with farm.client(renter) as client:
            return reached(client, job, lambda one: one.ended and one.settlement is not None, seconds, ended_is_fine=True)

    return await asyncio.to_thread(wait)


def reached(client: Client, job: str, condition: object, seconds: float, ended_is_fine: bool = False) -> Job:
    """The job once the condition holds. AssertionError when the time is over or it ended otherwise."""
    assert callable(condition)
    found = client.until(job, lambda one: bool(condition(one)) or (one.ended and not ended_is_fine), seconds)
    assert condition(found), f"{found.state}: {found.reason} {found.failure}"
    return found
