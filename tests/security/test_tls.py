"""The broker's encrypted side: who trusts the farm's authority gets in, and nobody is fooled by another certificate or host."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiormq
import pytest
import pytest_asyncio

from contracts.bus import Announcement, Announcer, connect
from contracts.events import AgentReady
from contracts.topology import inbox
from contracts.values import Hardware
from infra.local.farmfile import FarmFile
from infra.local.infrastructure import broker_tls
from infra.local.layout import Layout
from infra.rabbitmq import tls
from tests.security.intruder import Stage

REFUSED = (aiormq.AMQPError, ConnectionError, ssl.SSLError, TimeoutError)
READY = AgentReady(run="r", slots=0, hardware=Hardware(cores=1, memory_bytes=1 << 30))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def authority() -> AsyncIterator[Path]:
    yield broker_tls(Layout.of()).authority


def address(stage: Stage, query: str, host: str = "127.0.0.1", port: str = "AMQPS", scheme: str = "amqps") -> str:
    ann = stage.ann
    return f"{scheme}://{ann.name}:{ann.secret}@{host}:{stage.farm.port(port)}/{stage.vhost}{query}"


async def test_an_agent_that_trusts_the_farms_authority_speaks_encrypted(stage: Stage, authority: Path) -> None:
    async with await connect(address(stage, f"?cafile={authority}"), "ann") as connection:
        before = await stage.messages(inbox("scheduler", AgentReady))
        await Announcer(connection, stage.ann.name).announce(Announcement(READY))
        assert await stage.messages(inbox("scheduler", AgentReady)) == before + 1


async def refuses(url: str) -> bool:
    """True when the client, or the broker, breaks off."""
    with suppress(*REFUSED):
        await (await aiormq.connect(url)).close()
        return False
    return True


async def test_nobody_elses_authority_vouches_for_the_broker(stage: Stage, tmp_path: Path) -> None:
    other = tls.ensure(tmp_path / "other", ["127.0.0.1"])
    assert await refuses(address(stage, f"?cafile={other.authority}"))
    assert await refuses(address(stage, "")), "nor does any that the machine knows"


async def test_the_name_must_be_the_one_in_the_certificate(stage: Stage, authority: Path) -> None:
    """The certificate is for 127.0.0.1; localhost is the same machine under another name."""
    assert await refuses(address(stage, f"?cafile={authority}", host="localhost"))
    context = ssl.create_default_context(cafile=str(authority))
    context.check_hostname = False
    reader, writer = await asyncio.open_connection("localhost", stage.farm.port("AMQPS"), ssl=context)
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    assert reader is not None, "the positive control: with the check off it is let in"


async def test_plain_text_is_not_spoken_on_the_encrypted_port_nor_encryption_on_the_plain_one(
    stage: Stage, authority: Path
) -> None:
    assert await refuses(address(stage, "", scheme="amqp"))
    assert await refuses(address(stage, f"?cafile={authority}", port="AMQP"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_current_versions_are_spoken(stage: Stage, authority: Path, version: ssl.TLSVersion) -> None:
    assert await shakes_hands(stage, authority, version) == version.name.replace("_", ".")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
async def test_old_versions_are_not(stage: Stage, authority: Path, version: str) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shakes_hands(stage, authority, ssl.TLSVersion[version])


async def shakes_hands(stage: Stage, authority: Path, version: ssl.TLSVersion) -> str:
    context = ssl.create_default_context(cafile=str(authority))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.farm.port("AMQPS"), ssl=context)
    spoken = str(writer.get_extra_info("ssl_object").version())
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    assert reader is not None
    return spoken


def test_a_certificate_lasts_until_its_names_change(tmp_path: Path) -> None:
    first = tls.ensure(tmp_path / "tls", ["a.example"])
    authority, certificate = first.authority.read_bytes(), first.certificate.read_bytes()
    tls.ensure(tmp_path / "tls", ["a.example"])
    assert first.certificate.read_bytes() == certificate
    tls.ensure(tmp_path / "tls", ["a.example", "10.0.0.7"])
    assert first.certificate.read_bytes() != certificate
    assert first.authority.read_bytes() == authority
    assert {first.key.stat().st_mode & 0o777, first.authority_key.stat().st_mode & 0o777} == {0o600}


def test_the_farm_file_names_the_port(farm: FarmFile) -> None:
    assert farm.port("AMQPS") != farm.port("AMQP")
