"""What an attempt takes, from Docker's words: answers in the form of both versions of cgroups, cut to what is read. The real
engine's own words are heard in tests/integration/agent/test_life.py.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.domain import resources
from agent.domain.resources import TELL_SECONDS, Look, Taken, claimed, is_due, looked, moved, said, told
from contracts.events import GpuUse

V1: dict[str, Any] = {
    "cpu_stats": {"cpu_usage": {"total_usage": 3_214_000_111, "usage_in_kernelmode": 30_000_000}},
    "memory_stats": {
        "usage": 401_000_000,
        "max_usage": 512_000_000,
        "limit": 2_000_000_000,
        "stats": {"total_inactive_file": 51_000_000, "cache": 60_000_000},
    },
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 4_096},
            {"major": 8, "minor": 0, "op": "Write", "value": 100},
            {"major": 8, "minor": 0, "op": "Total", "value": 4_196},
            {"major": 8, "minor": 16, "op": "Read", "value": 10},
        ]
    },
}
V2: dict[str, Any] = {
    "cpu_stats": {"cpu_usage": {"total_usage": 1_000_000}},
    "memory_stats": {"usage": 300_000_000, "stats": {"inactive_file": 1_000_000}},
    "blkio_stats": {"io_service_bytes_recursive": [{"major": 8, "minor": 0, "op": "read", "value": 7}]},
}
ENDED: dict[str, Any] = {"cpu_stats": {"cpu_usage": {}}, "memory_stats": {}, "blkio_stats": {"io_service_bytes_recursive": None}}
LIMIT = 2_000_000_000


def test_both_versions_of_cgroups_are_read() -> None:
    assert resources.read(V1) == Look(3_214_000, 350_000_000, 4_106, 100)
    assert resources.read(V2) == Look(1_000, 299_000_000, 7, 0)


def test_a_container_that_has_just_ended_says_nothing_and_takes_nothing_back() -> None:
    assert resources.read(ENDED) == Look()
    taken = looked(looked(Taken(LIMIT), resources.read(V1), 1.0), resources.read(ENDED), 2.0)
    assert told(taken).cpu_seconds == 3.214
    assert told(taken).memory_peak_bytes == 350_000_000
    assert told(taken).disk_read_bytes == 4_106


def test_cores_are_cpu_time_by_the_clock_between_two_looks() -> None:
    first = looked(Taken(LIMIT), Look(cpu_micros=1_000_000), 10.0)
    assert told(first).cores == 0.0
    assert told(looked(first, Look(cpu_micros=8_500_000), 15.0)).cores == 1.5


def test_the_drivers_word_raises_the_peak_but_never_beyond_what_the_container_may_have() -> None:
    taken = looked(Taken(LIMIT), Look(memory_bytes=100), 1.0)
    assert told(claimed(taken, 900)).memory_peak_bytes == 900
    assert told(claimed(taken, 50)).memory_peak_bytes == 100
    assert told(claimed(taken, 1 << 60)).memory_peak_bytes == LIMIT


def test_what_the_agent_moves_adds_up_and_the_gpu_is_shown_as_it_is_now() -> None:
    use = GpuUse(utilisation_percent=97, memory_bytes=5, celsius=71)
    taken = moved(moved(moved(Taken(LIMIT), received=10), sent=5), sent=6)
    shown = told(looked(taken, Look(), 1.0, use))
    assert (shown.network_received_bytes, shown.network_sent_bytes, shown.gpu) == (10, 11, use)


def test_the_first_look_is_told_at_once_and_the_next_not_before_its_time() -> None:
    taken = Taken(LIMIT)
    assert is_due(taken, 5.0)
    taken = said(taken, 5.0)
    assert not is_due(taken, 5.0 + TELL_SECONDS - 0.01)
    assert is_due(taken, 5.0 + TELL_SECONDS)


@given(
    looks=st.lists(
        st.tuples(st.integers(0, 1 << 62), st.integers(0, 1 << 62), st.integers(0, 1 << 62), st.floats(0, 1e6)), max_size=20
    )
)
def test_whatever_docker_says_can_be_told(looks: list[tuple[int, int, int, float]]) -> None:
    taken, now, peak = Taken(LIMIT), 0.0, 0
    for cpu, memory, moved_bytes, seconds in looks:
        now += seconds
        taken = looked(taken, Look(cpu % 10**12, memory, moved_bytes, moved_bytes), now)
        shown = told(taken)
        assert shown.memory_peak_bytes >= peak
        peak = shown.memory_peak_bytes
