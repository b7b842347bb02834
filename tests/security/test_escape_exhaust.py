"""Attackers' code in the render container tries to use up the machine: it gets its share; with the lock off it gets all."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.lockdown import OUT_FILES, OUT_SLACK_BYTES, TMP_BYTES, TMP_FILES, processes
from contracts.events import Fault
from tests.security.lair import Raid, a_lair, hostile_image

MIB = 1 << 20
PICTURE_BYTES = MIB
MEMORY_BYTES = 1_000_000_000
DISK_BYTES = TMP_BYTES + OUT_SLACK_BYTES + PICTURE_BYTES
"""All that a container can write, in its own memory."""
ATTACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "fork_bomb": ("few_processes", {"most": 4 * processes()}),
    "fill_disk": ("output_in_memory", {"most": DISK_BYTES + 64 * MIB}),
    "fill_files": ("few_files", {"most": TMP_FILES + OUT_FILES + 1_000}),
    "descriptors": ("bounded_descriptors", {"most": 2_000}),
    "core_file": ("no_core_files", {}),
    "all_cores": ("bounded_cpu", {}),
    "memory_bomb": ("bounded_memory", {"most": MEMORY_BYTES * 5 // 4}),
}
"""Attack → the lock that holds it, and how far it goes."""
ALL = "all locks"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def raids(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Raid]:
    """One container with all of them, and one for each with its lock off, one after the other."""
    image, folder = await asyncio.to_thread(hostile_image), tmp_path_factory.mktemp("exhaust")
    made = {ALL: await a_raid(folder / "all", image, list(ATTACKS))}
    for attack, (lock, _) in ATTACKS.items():
        made[attack] = await a_raid(folder / attack, image, [attack], **{lock: False})
    return made


async def a_raid(folder: Path, image: str, attacks: list[str], **off: bool) -> Raid:
    orders = [(attack, ATTACKS[attack][1]) for attack in attacks]
    async with a_lair(folder, image, **off) as lair:
        return await lair.attack(orders, memory_bytes=MEMORY_BYTES, grant={"max_bytes": PICTURE_BYTES})


@pytest.mark.parametrize("attack", ATTACKS)
async def test_behind_all_locks_a_container_gets_its_share_and_no_more(raids: dict[str, Raid], attack: str) -> None:
    escaped, words = raids[ALL].reports[attack]
    print(attack, words)
    assert not escaped, words


@pytest.mark.parametrize("attack", ATTACKS)
async def test_with_its_lock_off_the_same_attack_takes_what_it_wants(raids: dict[str, Raid], attack: str) -> None:
    escaped, words = raids[attack].reports[attack]
    print(attack, words)
    assert escaped, words


async def test_a_memory_bomb_is_called_what_it_is(raids: dict[str, Raid]) -> None:
    assert raids[ALL].ending.fault is Fault.MEMORY
