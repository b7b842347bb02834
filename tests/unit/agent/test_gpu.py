"""Reading nvidia-smi and choosing among GPUs, on its output as others have recorded it: no machine of ours has had one yet.

GPU_UTILS: an RTX 2080 with driver 440.64, from issue 83 of Ricks-Lab/gpu-utils. I3PYSTATUS: a card of 2 GB before and after its
driver changed the word for "unknown", from pull request 776 of enkore/i3pystatus. AKASH: two Quadro RTX 6000 with driver
570.211.01, from issue 81 of akash-network/provider-configs (units left in). OURS is composed in their form with our columns.
"""

import asyncio
from pathlib import Path

import docker
import pytest

from agent.domain import gpus
from agent.domain.admission import Refused, Taken, admit
from agent.domain.gpus import Card
from agent.gpus import Gpus
from agent.lockdown import Guards, Spec, host_config
from contracts.events import GpuUse
from contracts.values import Benchmark, Gpu
from tests.unit.agent.builders import an_assignment
from tests.unit.agent.test_admission import a_machine

GPU_UTILS_COLUMNS = [
    "power.limit",
    "power.min_limit",
    "power.max_limit",
    "memory.total",
    "vbios_version",
    "driver_version",
    "name",
    "uuid",
    "power.draw",
    "temperature.gpu",
    "temperature.memory",
    "clocks.current.graphics",
    "clocks.sm",
    "clocks.mem",
    "utilization.gpu",
    "utilization.memory",
    "fan.speed",
    "pcie.link.width.current",
    "pstate",
]
GPU_UTILS = (
    "200.00, 105.00, 292.00, 7979, 90.04.23.00.5F, 440.64, GeForce RTX 2080, GPU-22b2c6ac-2d49-4863-197c-9c469071178a, "
    "176.98, 45, N/A, 1965, 1965, 7199, 86, 55, 100, 8, P2\n"
)
I3PYSTATUS_COLUMNS = [
    "memory.total",
    "memory.free",
    "memory.used",
    "temperature.gpu",
    "fan.speed",
    "utilization.gpu",
    "utilization.memory",
]
I3PYSTATUS = ("2004, 2004, 0, 44, [N/A], 0, 0\n", "2004, 2004, 0, 44, [Not Supported], 0, 0\n")
AKASH = "Quadro RTX 6000, 24576 MiB, 570.211.01, 0x1E3010DE\n" * 2
ONE, TWO = "GPU-22b2c6ac-2d49-4863-197c-9c469071178a", "GPU-e1924eea-b9bb-d537-39f2-b345087fa145"
OURS = f"{ONE}, GeForce RTX 2080, 7979, 512, 86, 45, 440.64\n{TWO}, NVIDIA GeForce RTX 3090, 24576, [N/A], [N/A], 61, 440.64\n"
FRAME = Benchmark(cpu_micros=400_000, wall_micros=90_000)


def test_a_recorded_line_is_read_by_its_columns() -> None:
    (row,) = gpus.rows(GPU_UTILS, GPU_UTILS_COLUMNS)
    (card,) = gpus.cards([{**row, "memory.used": "512"}])
    assert (card.id, card.name, card.memory_bytes, card.driver) == (ONE, "GeForce RTX 2080", 7_979 << 20, "440.64")
    assert card.use == GpuUse(utilisation_percent=86, memory_bytes=512 << 20, celsius=45)


@pytest.mark.parametrize("line", I3PYSTATUS)
def test_each_drivers_word_for_unknown_is_unknown(line: str) -> None:
    (row,) = gpus.rows(line, I3PYSTATUS_COLUMNS)
    assert row["fan.speed"] is None
    assert (row["memory.total"], row["temperature.gpu"], row["utilization.gpu"]) == ("2004", "44", "0")


def test_what_has_other_columns_or_no_id_is_no_card() -> None:
    assert gpus.rows(AKASH) == []
    columns = ("name", "memory.total", "driver_version", "pci.device_id")
    assert gpus.cards(gpus.rows(AKASH, columns)) == ()
    assert gpus.cards(gpus.rows("No devices were found\n")) == ()
    assert gpus.cards(gpus.rows("Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.\n")) == ()


def test_a_card_that_does_not_tell_how_busy_it_is_is_still_lent() -> None:
    first, second = gpus.cards(gpus.rows(OURS))
    assert first.use is not None
    assert second.use is None
    assert (second.id, second.memory_bytes) == (TWO, 24_576 << 20)


def test_nonsense_numbers_are_unknown() -> None:
    (card,) = gpus.cards(gpus.rows(OURS.splitlines()[0].replace("86", "860")))
    assert card.use is None


def test_only_what_its_owner_chose_is_lent_by_id_or_by_number() -> None:
    found = gpus.cards(gpus.rows(OURS))
    assert [gpu.id for gpu in gpus.lent(found, None, {})] == [ONE, TWO]
    assert [gpu.id for gpu in gpus.lent(found, ("1",), {TWO: FRAME})] == [TWO]
    assert gpus.lent(found, (ONE,), {TWO: FRAME}) == (Gpu(name="GeForce RTX 2080", memory_bytes=7_979 << 20, id=ONE),)
    assert gpus.lent(found, (), {}) == ()


def test_an_assignment_for_the_cpu_or_a_free_measured_gpu_is_taken_and_no_other() -> None:
    lent = (Gpu(name="a", memory_bytes=1, id=ONE, benchmark=FRAME), Gpu(name="b", memory_bytes=1, id=TWO))
    assert gpus.refusal(None, (), ()) is None
    assert gpus.refusal(ONE, lent, ()) is None
    assert gpus.refusal(ONE, lent, (ONE,)) == "another attempt renders on that GPU"
    assert gpus.refusal(TWO, lent, ()) == "it names a GPU this machine does not lend"
    assert gpus.refusal("GPU-of-somebody-else", lent, ()) == "it names a GPU this machine does not lend"


def a_program(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def cards(program: str | None) -> tuple[Card, ...]:
    return asyncio.run(Gpus(program).cards())


def test_the_driver_is_asked_for_our_columns(tmp_path: Path) -> None:
    program = a_program(tmp_path, f"echo \"$@\" > {tmp_path}/asked\nprintf '%s' '{OURS}'")
    assert [card.id for card in cards(program)] == [ONE, TWO]
    assert (tmp_path / "asked").read_text().split()[0] == f"--query-gpu={','.join(gpus.COLUMNS)}"


def test_a_driver_that_fails_or_is_not_there_means_no_gpus(tmp_path: Path) -> None:
    assert cards(a_program(tmp_path, f"printf '%s' '{OURS}'; exit 9")) == ()
    assert cards(str(tmp_path / "missing")) == ()


def test_several_that_look_at_once_ask_the_driver_once(tmp_path: Path) -> None:
    asked = Gpus(a_program(tmp_path, f"echo asked >> {tmp_path}/count\nprintf '%s' '{OURS}'"))

    async def look() -> None:
        await asyncio.gather(*(asked.cards() for _ in range(5)))

    asyncio.run(look())
    assert (tmp_path / "count").read_text() == "asked\n"


def options(gpu: str | None) -> dict[str, object]:
    client = docker.APIClient(base_url="tcp://127.0.0.1:1", version="1.41")
    spec = Spec("image", ("true",), "agent-1", "attempt-1", 2.0, 1 << 30, gpu=gpu)
    try:
        return dict(host_config(client, spec, Guards()))
    finally:
        client.close()


def test_a_container_gets_the_one_gpu_it_was_assigned_and_every_lock_stays() -> None:
    with_gpu, without = options(ONE), options(None)
    asked = with_gpu.pop("DeviceRequests")
    assert asked == [
        {"Driver": "nvidia", "Count": 0, "DeviceIDs": [ONE], "Capabilities": [["gpu", "compute", "utility"]], "Options": {}}
    ]
    without.pop("DeviceRequests", None)
    assert with_gpu == without
    assert (with_gpu["NetworkMode"], with_gpu["ReadonlyRootfs"], with_gpu["CapDrop"]) == ("none", True, ["ALL"])


def test_each_card_that_is_not_lent_says_why() -> None:
    found = gpus.cards(gpus.rows(OURS))
    first = gpus.lent(found, None, {ONE: FRAME})
    assert gpus.idle(found, None, "sha256:" + "a" * 64, True, gpus.lent(found, None, {ONE: FRAME, TWO: FRAME})) == ()
    (failed,) = gpus.idle(found, None, "sha256:" + "a" * 64, True, first)
    assert failed.startswith("GPU NVIDIA GeForce RTX 3090 is not lent: its benchmark frame did not render")
    (left_out,) = gpus.idle(found, ["0"], "sha256:" + "a" * 64, True, gpus.lent(found, ["0"], {ONE: FRAME}))
    assert left_out.endswith("RTX 3090 is not lent: its owner left it out ([limits] gpus)")
    assert ["FRAMELEND_AGENT_GPU_IMAGE names no" in why for why in gpus.idle(found, None, None, False, ())] == [True, True]
    assert ["is not here" in why for why in gpus.idle(found, None, "sha256:" + "a" * 64, False, ())] == [True, True]
    assert gpus.idle((), None, None, False, ()) == ()


def test_an_assignment_that_names_a_gpu_which_is_not_lent_is_refused() -> None:
    lent = (Gpu(name="a", memory_bytes=1, id=ONE, benchmark=FRAME),)
    assert admit(an_assignment(gpu=ONE), a_machine(gpus=lent), 60.0) == Taken()
    for machine in (a_machine(), a_machine(gpus=lent, gpus_taken=frozenset({ONE}))):
        assert isinstance(admit(an_assignment(gpu=ONE), machine, 60.0), Refused)
