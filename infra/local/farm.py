"""Up and down of a whole farm, in the right order, with a line for every part that gets ready."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable

from infra.local import agents, engine, farmfile, leftovers, mongodb, supervision
from infra.local.failure import FarmError
from infra.local.farmfile import FarmFile
from infra.local.infrastructure import INFRASTRUCTURE, Part
from infra.local.layout import Layout
from infra.local.ports import one_farm_starts_at_a_time
from infra.local.readiness import wait_until_ready
from infra.local.services import services
from infra.rabbitmq import definitions

Say = Callable[[str], None]
INFRA, ALL = "infra", "all"


def up(layout: Layout, only: str = ALL, say: Say = print) -> FarmFile:
    """Start the farm, or what is missing of it. A failure stops what this call started."""
    running = supervision.pid(layout) is not None
    try:
        with one_farm_starts_at_a_time():
            return _up(layout, only, say)
    except BaseException:
        if not running:
            down(layout, say)
        raise


def _up(layout: Layout, only: str, say: Say) -> FarmFile:
    layout.make()
    say(f"farm {layout.root}")
    say(_line("docker", engine.ensure(layout)))
    farm = _supervisor(layout, say)
    parts = [build(layout, farm) for build in INFRASTRUCTURE]
    run(layout, parts[:1], say)
    run(layout, parts[1:], say)
    mongodb.settle(farm)
    topology(farm)
    say(_line("topology", "exchanges, queues, users and permissions are in place"))
    if only == ALL:
        serve(layout, farm, say)
    say(f"up; everything about it is in {layout.env_file}")
    return farm


def serve(layout: Layout, farm: FarmFile, say: Say = print) -> None:
    """Our services and the house agent, where the infrastructure is up."""
    run(layout, services(layout, farm), say)
    join(layout, [agents.HOUSE], say)


def _supervisor(layout: Layout, say: Say) -> FarmFile:
    """The running farm's file, else a new supervisor with a file of its own."""
    if supervision.pid(layout) is not None:
        return farmfile.read(layout)
    before = farmfile.parse(layout.env_file.read_text()) if layout.env_file.exists() else {}
    if "FARM_ID" in before:
        leftovers.end(before["FARM_ID"])
    farm = farmfile.prepare(layout, engine.host())
    for line in farmfile.moved(layout, before):
        say(line)
    agents.forget_former(layout)
    supervision.launch(layout, farm["FARM_ID"])
    return farm


def run(layout: Layout, parts: Iterable[Part], say: Say = print) -> None:
    """Start these parts together and wait until each is ready."""
    parts = list(parts)
    for part in parts:
        supervision.add_program(layout, part.program)
        supervision.start(layout, part.program.name)
    for part in parts:
        took = wait_until_ready(layout, part.program.name, part.ready, part.seconds)
        say(_line(part.program.name, f"ready after {took:4.1f} s   {part.address}"))


def join(layout: Layout, lent: Iterable[agents.Lent], say: Say = print) -> None:
    """Enrol these computers, each once, and start their agents."""
    farm, lent = farmfile.read(layout), list(lent)
    for one in lent:
        agents.enrol(layout, farm, one)
    run(layout, [agents.part(layout, farm, one) for one in lent], say)


def topology(farm: FarmFile) -> None:
    """Bring the broker to what contracts.topology says; safe to repeat."""
    try:
        place, passwords = (farm.http("RABBIT_MANAGEMENT"), farm.rabbit_admin), farm.service_passwords("AMQP")
        definitions.apply(*place, farm["FARM_VHOST"], passwords, farm.scheduler_shards)
    except definitions.TopologyConflict as conflict:
        advice = "let the version that made it empty it, or give up what this farm holds: `python -m infra.local down --remove`"
        raise FarmError("rabbitmq", str(conflict), advice=advice) from conflict


def down(layout: Layout, say: Say = print, remove: bool = False) -> None:
    """Stop everything, the last started first, and make sure that nothing is left. ``remove`` deletes the folder."""
    known = farmfile.parse(layout.env_file.read_text()) if layout.env_file.exists() else {}
    farm_id = known.get("FARM_ID", "")
    if supervision.pid(layout) is not None:
        supervision.shutdown(layout)
        say(_line("programs", "stopped"))
    if farm_id and (left := leftovers.end(farm_id)):
        say(_line("leftovers", f"{len(left)} processes ended"))
    with one_farm_starts_at_a_time():
        say(_line("docker", engine.release(layout)))
    if farm_id and (remaining := leftovers.processes_of(farm_id)):
        raise FarmError("down", f"processes {remaining} do not end", advice="end them by hand")
    if remove and layout.root.exists():
        shutil.rmtree(layout.root)
        say(f"removed {layout.root}")


def _line(name: str, text: str) -> str:
    return f"  {name:<12} {text}"
