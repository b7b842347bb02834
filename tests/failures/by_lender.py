"""Failures of the lender's machine, of its Docker, of his network, and what he does himself."""

import io
import tarfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker

from agent.container import EngineRefused
from agent.desk import Desk
from agent.domain import machine, signals
from agent.domain.attempt import Ending, completed, failed, released
from agent.domain.verdicts import no_container
from contracts.events import ChunkCompleted, ChunkFailed, ChunkReleased, Event
from infra.images.debian import debian_image
from tests.failures import programs
from tests.failures.proxy import a_door
from tests.failures.ward import Patient, Provoke, Ward, an_archive, small_disk
from tests.waiting import until


async def _killed(ward: Ward) -> Ending:
    return await _meddled(ward, lambda api, box: api.kill(box))


async def _stopped(ward: Ward) -> Ending:
    return await _meddled(ward, lambda api, box: api.stop(box, timeout=5))


async def _removed(ward: Ward) -> Ending:
    return await _meddled(ward, lambda api, box: api.remove_container(box, force=True))


async def _paused(ward: Ward) -> Ending:
    """Its time runs out meanwhile, as it would for a hang."""
    return await _meddled(ward, lambda api, box: api.pause(box), max_seconds_per_frame=6)


async def _meddled(ward: Ward, what: Callable[[Any, str], object], **changes: Any) -> Ending:
    async def meddle(patient: Patient) -> None:
        await patient.opened()
        await ward.docker(lambda api: what(api, patient.box))

    return await ward.fail("slow", meddle=meddle, **changes)


async def _memory_taken(ward: Ward) -> Ending:
    async def take(patient: Patient) -> None:
        await patient.opened()
        await ward.docker(lambda api: api.update_container(patient.box, mem_limit=600 << 20, memswap_limit=600 << 20))

    return await ward.fail(program=programs.GROW, meddle=take)


async def _stops(ward: Ward) -> Ending:
    async def stop(patient: Patient) -> None:
        await patient.opened()
        patient.feed(signals.Stopping())

    return await ward.fail("slow", meddle=stop)


async def _cancelled(ward: Ward) -> Ending:
    async def cancel(patient: Patient) -> None:
        await patient.opened()
        patient.feed(signals.Withdrawn("cancelled by the renter"))

    return await ward.fail("slow", meddle=cancel)


async def _slept(ward: Ward) -> Ending:
    """Longer than the lease, shorter than the grant."""

    async def sleep(patient: Patient) -> None:
        await patient.opened()
        ward.ground.skew += 200

    return await ward.fail("slow", meddle=sleep)


async def _restarted(ward: Ward) -> Ending:
    """The journal is all that the next run of the agent has."""
    assignment = ward.assignment("b" * 64, 1, 2)
    attempt, _ = machine.begin(assignment, ward.ground.now(), ward.ground.now() + 600)
    ward.ground.journal.open_attempt(attempt, {}, 600)
    desk = Desk(ward.ground)
    assert desk.recover() == 1
    for runner in list(desk._runners.values()):
        runner.feed(signals.Tick())
    return _told(ward)


async def _refused(ward: Ward) -> Ending:
    desk = Desk(ward.ground)
    desk.images = (ward.image,)
    needed = ward.ground.settings.slot_memory_bytes + 1
    assignment = ward.assignment("b" * 64, 1, memory_bytes=needed)
    desk.take(assignment, {}, assignment.grant.until - timedelta(minutes=10))
    return _told(ward)


def _told(ward: Ward) -> Ending:
    """What waits in the journal for the scheduler, as an ending."""
    told = [waiting.announcement.event for waiting in ward.ground.journal.waiting(0, 10)]
    (last,) = [event for event in told if isinstance(event, ChunkReleased | ChunkFailed | ChunkCompleted)]
    return _as_ending(last)


def _as_ending(event: Event) -> Ending:
    if isinstance(event, ChunkReleased):
        return released(event.reason, event.text)
    return failed(event.fault, event.text, event.frame) if isinstance(event, ChunkFailed) else completed()


# --- disks and bundles


async def _disk_full(ward: Ward) -> Ending:
    with small_disk(ward.folders.spool, kilobytes=16):
        return await ward.fail()


async def _no_room(ward: Ward) -> Ending:
    with small_disk(ward.folders.cache, kilobytes=256):
        return await ward.fetch(an_archive({"scene.blend": b"BLENDER", "noise.bin": bytes(range(256)) * 4_000}))


async def _evil(ward: Ward) -> Ending:
    return await ward.fetch(an_archive({"../../etc/cron.d/evil": b"* * * * * root true"}))


async def _tampered(ward: Ward) -> Ending:
    return await ward.fetch(an_archive({"scene.blend": b"BLENDER"}), sha256="d" * 64)


async def _store_away(ward: Ward) -> Ending:
    """Nobody answers for longer than the agent's patience; played is only the waiting."""

    async def wait(patient: Patient) -> None:
        ward.ground.skew += 650
        await until(lambda: patient.attempt.ending is not None, "it gives up", 30)

    return await ward.fetch(b"", meddle=wait, answers=False)


# --- Docker


async def _image_gone(ward: Ward) -> Ending:
    def bring(api: Any) -> None:
        empty = io.BytesIO()
        tarfile.open(fileobj=empty, mode="w").close()
        ward.image = api.import_image_from_data(empty.getvalue()).split('"status":"')[1].split('"')[0]
        api.remove_image(ward.image)

    await ward.docker(bring)
    return await ward.fail()


async def _image_broken(ward: Ward) -> Ending:
    """Debian's own has no Python."""

    def find(api: Any) -> None:
        ward.image = api.inspect_image(debian_image())["Id"]

    await ward.docker(find)
    return await ward.fail()


async def _gone_at_start(ward: Ward) -> Ending:
    async with a_door(ward.folders.root) as door:
        ward.engine.through(door.address)
        await door.shut()
        return await ward.fail()


async def _gone_meanwhile(ward: Ward) -> Ending:
    async with a_door(ward.folders.root) as door:
        ward.engine.through(door.address)

        async def shut(patient: Patient) -> None:
            await patient.opened()
            await door.shut()

        return await ward.fail("slow", meddle=shut)


async def _no_card(ward: Ward) -> Ending:
    """Docker's own answer when a card is asked for and there is none."""
    card = docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])

    def ask(api: Any) -> None:
        host = api.create_host_config(device_requests=[card])
        made = api.create_container(ward.image, ["true"], host_config=host, labels={"framelend.home": ward.ground.journal.home()})
        api.start(made["Id"])

    try:
        await ward.docker(ask)
    except EngineRefused as refused:
        return no_container(str(refused))
    raise AssertionError("this machine has a graphics card: the case cannot be provoked here")


async def _host_out_of_memory(ward: Ward) -> Ending:
    """What the kernel tells of itself is played; the container is really killed, and not by Docker's memory limit."""
    proc = ward.folders.root / "proc"
    proc.mkdir()
    _kernel(proc, kills=3, available_kb=9_000_000)

    async def press(patient: Patient) -> None:
        await patient.opened()
        _kernel(proc, kills=4, available_kb=40_000)
        await ward.docker(lambda api: api.kill(patient.box))

    return await ward.fail("slow", meddle=press, proc=proc)


def _kernel(proc: Path, kills: int, available_kb: int) -> None:
    (proc / "vmstat").write_text(f"nr_free_pages 1\noom_kill {kills}\n")
    (proc / "meminfo").write_text(f"MemTotal: 16000000 kB\nMemFree: 1 kB\nMemAvailable: {available_kb} kB\n")


BY_LENDER: dict[str, Provoke] = {
    "killed_from_outside": _killed,
    "stopped_from_outside": _stopped,
    "container_removed": _removed,
    "paused_from_outside": _paused,
    "memory_taken_away": _memory_taken,
    "agent_stops": _stops,
    "cancelled": _cancelled,
    "machine_slept": _slept,
    "agent_restarted": _restarted,
    "refused_for_memory": _refused,
    "disk_full_at_output": _disk_full,
    "disk_full_at_unpacking": _no_room,
    "evil_bundle": _evil,
    "bundle_tampered": _tampered,
    "store_away": _store_away,
    "image_gone": _image_gone,
    "image_broken": _image_broken,
    "engine_gone_at_start": _gone_at_start,
    "engine_gone_while_rendering": _gone_meanwhile,
    "no_graphics_card": _no_card,
    "host_out_of_memory": _host_out_of_memory,
}
