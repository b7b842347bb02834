"""Attackers' code in the render container reaches for the network, files, processes, devices and the kernel of the machine.

Every attack is made twice: with all locks on, where it must fail, and with the one lock off that holds it, where it must succeed.
Where two locks hold an attack, each of them alone does.
"""

import asyncio
import ctypes
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio

from infra.local.engine import host
from tests.security.lair import Raid, a_lair, hostile_image

LOCKS: dict[str, tuple[str, ...]] = {
    "network": ("no_network",),
    "interfaces": ("no_network",),
    "abstract_socket": ("no_network",),
    "host_file": ("no_host_folders",),
    "agent_credential": ("no_host_folders", "other_user"),
    "other_attempt": ("no_host_folders", "other_user"),
    "other_bundle": ("no_host_folders", "other_user"),
    "docker_socket": ("no_host_folders", "other_user"),
    "poison_bundle": ("inputs_read_only", "other_user"),
    "replace_bundle": ("inputs_read_only", "other_user"),
    "poison_task": ("inputs_read_only", "other_user"),
    "keep_on_root": ("read_only_root",),
    "read_as_root": ("other_user",),
    "become_root_by_setuid": ("no_new_privileges",),
    "make_device": ("no_capabilities", "other_user"),
    "raw_socket": ("no_capabilities", "other_user"),
    "take_file_over": ("no_capabilities", "other_user"),
    "user_namespace": ("seccomp",),
    "mount": ("seccomp",),
    "keyring": ("seccomp",),
    "other_processes": ("own_processes",),
    "devices": ("no_devices",),
    "kernel_settings": ("no_kernel_settings", "other_user"),
    "shared_memory": ("own_memory_segments",),
}
"""Attack → what holds it: all of these have to be off before it succeeds."""
DOUBLE = [(attack, lock) for attack, locks in LOCKS.items() if len(locks) > 1 for lock in locks]
AT_ONCE = 3
IPC_CREAT, IPC_RMID = 0o1000, 0


@dataclass(frozen=True)
class Targets:
    """What there is on the machine for attackers to find."""

    folder: Path
    port: int
    abstract: str
    host_file: Path
    content: str
    segment: int

    def orders(self, attacks: list[str]) -> list[tuple[str, dict[str, Any]]]:
        file = {"content": self.content}
        details: dict[str, dict[str, Any]] = {
            "network": {"port": self.port},
            "abstract_socket": {"name": self.abstract},
            "host_file": {"path": str(self.host_file), **file},
            "agent_credential": {"path": str(self.folder / "agent" / "agent.json"), **file},
            "other_attempt": {"path": str(self.folder / "agent" / "work" / "other" / "in" / "task.json"), **file},
            "other_bundle": {"path": str(self.folder / "agent" / "cache" / "other" / "files" / "scene.blend"), **file},
            "docker_socket": {"path": os.path.realpath(urlsplit(host()).path)},
            "other_processes": {"mark": "pytest"},
            "shared_memory": {"key": self.segment},
        }
        return [(attack, details.get(attack, {})) for attack in attacks]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    folder, content, name = tmp_path_factory.mktemp("lair"), uuid4().hex, f"framelend-{uuid4().hex}"
    libc = ctypes.CDLL(None, use_errno=True)
    key = int.from_bytes(os.urandom(3), "big") + 1
    segment = libc.shmget(key, 4_096, IPC_CREAT | 0o666)
    assert segment >= 0, os.strerror(ctypes.get_errno())
    with (
        socket.create_server(("127.0.0.1", 0)) as door,
        socket.socket(socket.AF_UNIX) as abstract,
        tempfile.NamedTemporaryFile("w", dir="/var/tmp") as readable,
    ):
        abstract.bind(f"\0{name}")
        abstract.listen()
        for listener in (door, abstract):
            threading.Thread(target=_greet, args=(listener,), daemon=True).start()
        readable.write(content)
        readable.flush()
        Path(readable.name).chmod(0o644)
        yield Targets(folder, door.getsockname()[1], name, Path(readable.name), content, key)
        for listener in (door, abstract):
            listener.shutdown(socket.SHUT_RDWR)
    libc.shmctl(segment, IPC_RMID, None)


def _greet(listener: socket.socket) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        with line:
            line.sendall(b"hello")


async def a_raid(targets: Targets, image: str, off: tuple[str, ...], attacks: list[str]) -> Raid:
    """In an agent's folder with a credential, another attempt and another bundle in it."""
    folder = targets.folder / uuid4().hex
    async with a_lair(folder, image, **dict.fromkeys(off, False)) as lair:
        for path in ("agent.json", "work/other/in/task.json", "cache/other/files/scene.blend"):
            await asyncio.to_thread(_put, folder / path, targets.content)
        orders = [
            (
                name,
                {**details, "path": details["path"].replace("/agent/", f"/{folder.name}/", 1)} if "path" in details else details,
            )
            for name, details in targets.orders(attacks)
        ]
        return await lair.attack(orders)


def _put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def raids(targets: Targets) -> dict[tuple[str, ...], Raid]:
    """Locks off → the raid that was made so. A few at a time."""
    image = await asyncio.to_thread(hostile_image)
    wanted: dict[tuple[str, ...], list[str]] = {(): list(LOCKS)}
    for attack, locks in LOCKS.items():
        for off in {locks, *((lock,) for lock in locks)}:
            wanted.setdefault(off, []).append(attack)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(off: tuple[str, ...], attacks: list[str]) -> Raid:
        async with places:
            return await a_raid(targets, image, off, attacks)

    made = await asyncio.gather(*(one(off, attacks) for off, attacks in wanted.items()))
    return dict(zip(wanted, made, strict=True))


@pytest.mark.parametrize("attack", LOCKS)
async def test_behind_all_locks_an_attack_reaches_nothing(raids: dict[tuple[str, ...], Raid], attack: str) -> None:
    escaped, words = raids[()].reports[attack]
    assert not escaped, words


@pytest.mark.parametrize("attack", LOCKS)
async def test_with_its_lock_off_the_same_attack_gets_through(raids: dict[tuple[str, ...], Raid], attack: str) -> None:
    escaped, words = raids[LOCKS[attack]].reports[attack]
    assert escaped, words


@pytest.mark.parametrize(("attack", "off"), DOUBLE)
async def test_where_two_locks_hold_an_attack_each_holds_it_alone(
    raids: dict[tuple[str, ...], Raid], attack: str, off: str
) -> None:
    escaped, words = raids[(off,)].reports[attack]
    assert not escaped, words


async def test_no_attack_made_the_agent_believe_in_a_frame(raids: dict[tuple[str, ...], Raid]) -> None:
    assert all(raid.pictures == [] and raid.ending.fault is not None for raid in raids.values())
    made = sum(len(raid.reports) for raid in raids.values())
    assert made == 2 * len(LOCKS) + len(DOUBLE)
    print(f"{len(LOCKS)} attacks behind all locks, {made} attempts in {len(raids)} containers")
