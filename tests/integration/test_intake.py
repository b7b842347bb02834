"""Intake as its users meet it: over HTTP, with the other services' words said on the bus in their place."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio

from tests.integration.world import Process, World


@dataclass(frozen=True)
class Person:
    """An account and its own connection to the door."""

    id: str
    http: httpx.AsyncClient

    async def get(self, path: str, **kw: Any) -> httpx.Response:
        return await self.http.get(path, **kw)

    async def post(self, path: str, body: Any = None, key: str | None = None, **kw: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.http.post(path, json=body, headers=headers, **kw)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def intake(world: World) -> Process:
    return await world.start("intake")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def operator(world: World, intake: Process) -> AsyncIterator[Person]:
    async with _client(intake.url, world.farm["FARM_OPERATOR_KEY"]) as http:
        yield Person("operator", http)


def _client(url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=40)


async def test_the_operator_has_an_account(operator: Person) -> None:
    answer = await operator.get("/v1/account")
    assert answer.status_code == 200, answer.text
    assert answer.json()["roles"] == ["operator"]
