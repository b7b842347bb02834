"""What the agent sees of the machine while a container runs, from a folder like /proc."""

import os
from pathlib import Path

from agent.domain.evidence import UNSEEN, Room
from agent.host import Look, room


def kernel(proc: Path, kills: int, available_kb: int) -> None:
    (proc / "vmstat").write_text(f"nr_free_pages 12\noom_kill {kills}\n")
    (proc / "meminfo").write_text(f"MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable:   {available_kb} kB\n")


def test_the_least_memory_seen_counts_and_only_kills_since_the_start(tmp_path: Path) -> None:
    kernel(tmp_path, 5, 900)
    look = Look(tmp_path, tmp_path)
    kernel(tmp_path, 5, 100)
    look.memory()
    kernel(tmp_path, 7, 800)
    facts = look.facts()
    assert (facts.least_memory_bytes, facts.kills) == (100 * 1024, 2)
    assert facts.free_disk_bytes is not None


def test_a_kernel_that_tells_nothing_leaves_it_open(tmp_path: Path) -> None:
    look = Look(tmp_path / "gone", tmp_path)
    assert look.facts() == UNSEEN
    (tmp_path / "meminfo").write_text("MemAvailable: much\n")
    assert look.facts() == UNSEEN


def test_this_machine_tells(tmp_path: Path) -> None:
    facts = Look(tmp_path).facts()
    assert facts.least_memory_bytes is not None
    assert facts.least_memory_bytes > 0


def test_what_a_machine_leaves_for_a_container_is_told_by_kernel_and_docker(tmp_path: Path) -> None:
    told, ticks = {"cpu_stats": {"throttling_data": {"throttled_time": 2_500_000_000}}}, os.sysconf("SC_CLK_TCK")
    assert room(told, tmp_path) is None
    (tmp_path / "stat").write_text(f"cpu  5 0 7 {30 * ticks} {4 * ticks} 0 0 0 0 0\ncpu0 1 2 3 4\n")
    assert room(told, tmp_path) == Room(30.0, 6.5)
    assert room({"cpu_stats": {"cpu_usage": {}}}, tmp_path) is None  # a bare process has no quota to be seen
