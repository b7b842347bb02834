"""The local farm itself: ports, what a stop leaves, who may read what."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aioboto3
import httpx
import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from infra.local import agents, engine, farmfile, infrastructure, leftovers, ports, supervision
from infra.local import farm as whole
from infra.local.failure import FarmError
from infra.local.farmfile import SERVICES, FarmFile
from infra.local.layout import Layout
from infra.local.programs import Program
from tests.waiting import until


def quiet(text: str) -> None:
    """Progress lines are for people."""


@pytest.fixture
def a_farm_with_a_mail_catcher(tmp_path: Path) -> Iterator[Layout]:
    """The smallest farm: a supervisor with one program."""
    layout = Layout(tmp_path / "farm")
    layout.make()
    farm = farmfile.prepare(layout, engine.host())
    supervision.launch(layout, farm["FARM_ID"])
    try:
        whole.run(layout, [infrastructure.mail(layout, farm)], quiet)
        yield layout
    finally:
        whole.down(layout, quiet)


def listening(process: int) -> set[tuple[str, int]]:
    found = psutil.Process(process).net_connections("inet")
    return {(one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN}


def test_a_farm_starts_beside_others_on_loopback_only_and_a_stop_leaves_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "farm")
    try:
        farm = whole.up(layout, whole.INFRA, quiet)
        processes = leftovers.processes_of(farm["FARM_ID"])
        doors = {door for process in processes for door in listening(process)}
        assert len(processes) > len(infrastructure.INFRASTRUCTURE), "every program and the supervisor"
        assert {farm.port(name) for name in ("AMQP", "MONGO", "S3", "SMTP")} <= {port for _, port in doors}
        assert {address for address, _ in doors} <= {"127.0.0.1", "::1"}
    finally:
        whole.down(layout, quiet)
    assert leftovers.processes_of(farm["FARM_ID"]) == []
    assert all(ports.is_free(port) for _, port in doors)
    assert not layout.socket.exists()


def test_a_taken_port_gives_way_to_the_next_free_one(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "farm")
    layout.make()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        farmfile.write(layout, {"FARM_SMTP_PORT": str(taken)})
        chosen = farmfile.prepare(layout, engine.host()).port("SMTP")
    assert chosen > taken
    assert farmfile.read(layout).port("SMTP") == chosen
    assert farmfile.prepare(layout, engine.host()).port("SMTP") == chosen, "a free port is kept"


def test_what_a_killed_supervisor_left_is_ended_too(a_farm_with_a_mail_catcher: Layout) -> None:
    layout = a_farm_with_a_mail_catcher
    farm_id = farmfile.read(layout)["FARM_ID"]
    supervisor = supervision.pid(layout)
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    assert supervision.eventually(lambda: supervision.pid(layout) is None, 10)
    assert leftovers.processes_of(farm_id), "the mail catcher lives on without its supervisor"
    whole.down(layout, quiet)
    assert leftovers.processes_of(farm_id) == []


async def test_a_killed_program_comes_back(a_farm_with_a_mail_catcher: Layout) -> None:
    layout = a_farm_with_a_mail_catcher
    farm = farmfile.read(layout)
    victim = supervision.kill(layout, "mail")
    await until(lambda: not infrastructure.mail(layout, farm).ready(), "the mail catcher greets again")
    assert supervision.process_id(layout, "mail") != victim


def test_a_program_that_cannot_start_is_named_with_its_log(a_farm_with_a_mail_catcher: Layout) -> None:
    layout = a_farm_with_a_mail_catcher
    program = Program("broken", ("/bin/sh", "-c", "echo out of luck; exit 3"), start_retries=0)
    part = infrastructure.Part(program, lambda: "never ready", "nowhere", seconds=20)
    with pytest.raises(FarmError, match="out of luck") as story:
        whole.run(layout, [part], quiet)
    assert story.value.part == "broken"
    assert story.value.log == layout.log("broken")


def test_a_mail_becomes_one_file(a_farm_with_a_mail_catcher: Layout) -> None:
    farm = farmfile.read(a_farm_with_a_mail_catcher)
    with smtplib.SMTP("127.0.0.1", farm.port("SMTP")) as post:
        post.sendmail("farm@framelend.example", ["renter@framelend.example"], "Subject: Your film\r\n\r\nIt is ready.")
    (mail,) = Path(farm["FARM_MAIL_DIR"]).glob("*.eml")
    assert "X-Envelope-To: renter@framelend.example" in mail.read_text()
    assert "It is ready." in mail.read_text()


def test_a_stop_removes_the_containers_of_this_farm_only(a_farm_with_a_mail_catcher: Layout, tmp_path: Path) -> None:
    image = _an_empty_image()
    ours, others = (_a_container(image, folder) for folder in (a_farm_with_a_mail_catcher.root / "job", tmp_path / "job"))
    try:
        whole.down(a_farm_with_a_mail_catcher, quiet)
        assert engine.docker("inspect", ours).returncode != 0
        assert engine.docker("inspect", others).returncode == 0
    finally:
        engine.docker("rm", "-f", ours, others)
        engine.docker("image", "rm", image)


def _an_empty_image() -> str:
    archive = subprocess.run(["tar", "-cf", "-", "-T", os.devnull], capture_output=True, check=True).stdout
    command = ["docker", "-H", engine.host(), "import", "-"]
    return subprocess.run(command, input=archive, capture_output=True, check=True).stdout.decode().strip()


def _a_container(image: str, folder: Path) -> str:
    """Never started, and it sees the folder."""
    made = engine.docker("create", "--volume", f"{folder}:/job", image, "/nothing")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_its_own_database_and_no_other(farm: FarmFile, service: str) -> None:
    url = farm.mongo_url(service, farm[f"FARM_{service.upper()}_MONGO_PASSWORD"])
    with MongoClient[dict[str, object]](url) as client:
        assert client[service].nothing.find_one() is None
        for other in {*SERVICES, "admin"} - {service}:
            with pytest.raises(OperationFailure, match="not authorized"):
                client[other].nothing.find_one()


async def test_the_store_answers_only_what_is_signed(farm: FarmFile) -> None:
    async with httpx.AsyncClient(trust_env=False) as stranger:
        refusal = await stranger.get(f"{farm.http('S3')}/{infrastructure.BUCKET}")
    assert refusal.status_code in (400, 403)
    async with _store(farm, farm["FARM_S3_SECRET_KEY"]) as store:
        await store.head_bucket(Bucket=infrastructure.BUCKET)
    async with _store(farm, "0" * 64) as store:
        with pytest.raises(store.exceptions.ClientError):
            await store.head_bucket(Bucket=infrastructure.BUCKET)


def _store(farm: FarmFile, secret: str) -> Any:
    keys = {"aws_access_key_id": farm["FARM_S3_ACCESS_KEY"], "aws_secret_access_key": secret}
    return aioboto3.Session().client("s3", endpoint_url=farm.http("S3"), region_name="us-east-1", **keys)


def test_the_operators_release_reaches_the_scheduler_and_lets_out_only_what_is_in_quarantine(farm: FarmFile) -> None:
    """That one who is in it comes back is tried in tests/security/test_flood.py."""
    with pytest.raises(FarmError, match="nobody is not enrolled, not quarantined"):
        agents.release(farm, "nobody", "a test")
