"""Whom a request comes from: a proxy's word counts where the operator has named it."""

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from services.chassis.service import configured
from services.chassis.settings import ServiceSettings, told
from tests.unit.chassis.test_settings import given


async def _who(scope: Scope, receive: Receive, send: Send) -> None:
    client = Request(scope).client
    await PlainTextResponse(client.host if client else "")(scope, receive, send)


async def seen(proxy: str) -> str:
    """The host that intake sees of a client at 203.0.113.9, which claims to be another, behind this proxy."""
    config = configured(told(ServiceSettings), _who)
    config.load()
    transport = httpx.ASGITransport(config.loaded_app, client=(proxy, 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://intake") as http:
        return (await http.get("/", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})).text


async def test_a_proxy_on_this_machine_is_believed_and_a_stranger_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch)
    assert [await seen(one) for one in ("127.0.0.1", "::1", "10.0.0.5")] == ["203.0.113.9", "203.0.113.9", "10.0.0.5"]


async def test_a_proxy_elsewhere_is_believed_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, TRUSTED_PROXIES="10.0.0.0/24, 192.0.2.1")
    assert [await seen(one) for one in ("10.0.0.5", "192.0.2.1", "127.0.0.1")] == ["203.0.113.9", "203.0.113.9", "127.0.0.1"]
