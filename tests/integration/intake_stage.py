"""A stage for intake: people with API keys, and the other services' words said on the bus in their place."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio

from contracts import events as e
from contracts.values import Band, FrameRange, PriceLine
from tests.integration.world import Process, World
from tests.waiting import until

PICTURES = "http://store.example:9000"


@dataclass(frozen=True)
class Person:
    """An account and its own connection to the door."""

    id: str
    key: str
    http: httpx.AsyncClient

    async def get(self, path: str, **how: Any) -> httpx.Response:
        return await self.http.get(path, **how)

    async def post(self, path: str, body: Any = None, key: str | None = None, **how: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.http.post(path, json=body, headers=headers, **how)

    async def put(self, path: str, body: Any) -> httpx.Response:
        return await self.http.put(path, json=body)


@dataclass
class Stage:
    world: World
    intake: Process
    operator: Person
    people: list[Person] = field(default_factory=list)

    async def a_person(self, *roles: str) -> Person:
        body = {"name": "Rita", "email": "rita@example.org", "roles": list(roles) or ["renter"]}
        opened = (await self.operator.post("/v1/accounts", body)).json()
        person = Person(opened["id"], opened["key"], connection(self.intake.url, opened["key"]))
        self.people.append(person)
        return person

    async def a_bundle(self, owner: Person, blends: tuple[str, ...] = ("scene.blend",)) -> str:
        """SHA-256 of a bundle that storage has verified for this person."""
        sha256 = hashlib.sha256(uuid4().bytes).hexdigest()
        upload = (await owner.post("/v1/uploads", {"bytes": 1000, "sha256": sha256})).json()["id"]
        stored = e.BundleStored(
            upload=upload, account=owner.id, bundle=sha256, bytes=1000, unpacked_bytes=2000, files=1, blends=blends
        )
        await self.world.say("storage", stored)
        assert (await owner.get(f"/v1/uploads/{upload}", params={"wait": 10})).json()["state"] == "stored"
        return sha256

    async def a_job(self, owner: Person, frames: str = "1-10", **more: Any) -> str:
        body = {"bundle": await self.a_bundle(owner), "frames": frames, "price_per_wu": "0.01", **more}
        answer = await owner.post("/v1/jobs", body, key=uuid4().hex)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def a_quoted_job(self, owner: Person, price_micro: int = 1_500_000) -> str:
        job = await self.a_job(owner)
        await self.world.say("billing", a_quote(job, owner.id, price_micro))
        await self.seen(owner, job, lambda view: view["quote"] is not None, "the quote is seen")
        return job

    async def a_held_job(self, owner: Person) -> str:
        job = await self.a_quoted_job(owner)
        await owner.post(f"/v1/jobs/{job}/quote/accept", {"version": 1}, key=uuid4().hex)
        await self.world.say("billing", e.CreditsHeld(job=job, account=owner.id, version=1, amount_micro=1_500_000))
        await self.seen(owner, job, lambda view: view["held"] == "1.5", "the hold is seen")
        return job

    async def offers(self, lender: Person, job: str, machine: str, **changes: Any) -> None:
        """The job, to this lender for this machine of his, as the scheduler does; intake has it."""
        fields = {
            "owner": lender.id, "job": job, "revision": 1, "renter": "ada", "agents": (machine,), "bundle_bytes": 1000,
            "frames": 10, "engine": "CYCLES", "memory_bytes": 10**9, "price": 10_000, "micro_wu": a_band(100_000_000),
        }  # fmt: skip
        await self.world.say("scheduler", e.JobOffered.model_validate({**fields, **changes}))

        async def seen() -> bool:
            return (await lender.get(f"/v1/offers/{job}")).status_code == 200

        await until(seen, "the offer is seen", 10)

    async def seen(self, owner: Person, job: str, condition: Any, what: str) -> dict[str, Any]:
        """The job's view as soon as the condition holds."""

        found = dict[str, Any]()

        async def look() -> bool:
            found.update((await owner.get(f"/v1/jobs/{job}")).json())
            return bool(condition(found))

        await until(look, what, 10)
        return found


def connection(url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=40)


def a_quote(job: str, account: str, price_micro: int = 1_500_000, version: int = 1, hours: float = 24) -> e.JobQuoted:
    return e.JobQuoted(
        job=job,
        account=account,
        version=version,
        price_micro=price_micro,
        lines=(PriceLine(code="frames", text="10 frames", amount_micro=price_micro),),
        micro_wu=a_band(100_000_000),
        seconds=a_band(60),
        expires_at=datetime.now(UTC) + timedelta(hours=hours),
    )


def a_band(expected: int) -> Band:
    return Band(low=expected // 2, expected=expected, high=expected * 2)


def stored_frames(job: str, *frames: int, attempt: str = "attempt-1", agent: str = "agent-1") -> e.FramesStored:
    one = "a" * 64
    return e.FramesStored(
        job=job,
        chunk="chunk-1",
        attempt=attempt,
        agent=agent,
        kind="render",
        generation=0,
        version=1,
        frames=tuple(
            e.StoredFrame(frame=n, file_sha256=one, pixel_sha256=one, bytes=100, cpu_micros=1_000, key=f"frames/{job}/{n}")
            for n in frames
        ),
    )


def progress(
    job: str, account: str, stored: int = 0, agents: tuple[e.AgentShare, ...] = (), revision: int = 5
) -> e.JobProgressed:
    return e.JobProgressed(
        job=job,
        account=account,
        state="rendering",
        revision=revision,
        stored=stored,
        total=10,
        remaining_seconds=a_band(30),
        agents=agents,
    )


def inspected(job: str, account: str, last: int = 10) -> e.JobInspected:
    frames = (FrameRange(first=1, last=last),)
    return e.JobInspected(job=job, account=account, accepted=True, findings=(), frames=frames)


@pytest_asyncio.fixture(name="stage", scope="module", loop_scope="session")
async def the_stage(world: World) -> AsyncIterator[Stage]:
    intake = await world.start("intake", FRAMELEND_STORE_ORIGIN=PICTURES)
    key = world.farm["FARM_OPERATOR_KEY"]
    made = Stage(world, intake, Person("operator", key, connection(intake.url, key)))
    yield made
    for person in (made.operator, *made.people):
        await person.http.aclose()


@pytest_asyncio.fixture(name="renter", scope="module", loop_scope="session")
async def the_renter(stage: Stage) -> Person:
    return await stage.a_person("renter")


@pytest_asyncio.fixture(name="stranger", scope="module", loop_scope="session")
async def the_stranger(stage: Stage) -> Person:
    """Has every role and none of the others' things."""
    return await stage.a_person("renter", "lender")
