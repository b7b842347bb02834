"""`make demo`. A failure or Ctrl-C at any moment stops everything; after success the farm stays up until `make down`."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import time
from pathlib import Path

from framelend import Client, FramelendError, Job
from rich.console import Console

from infra.demo import cast, play, report
from infra.demo.play import Times
from infra.demo.sample import make_sample
from infra.demo.witness import Witness
from infra.grafana.queries import VARIABLES, without_data
from infra.images import rendering
from infra.local import engine, farmfile
from infra.local import farm as local
from infra.local.failure import FarmError
from infra.local.layout import CHECKOUT, Layout

FOLDER = CHECKOUT / "build" / "demo"
DASHBOARD_SECONDS = 25
WINDOW_SECONDS = 3600
CHUNK_SECONDS = "8"
"""Small chunks, so that a short animation is shared by everybody; a real farm aims at a minute."""
console = Console()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    times = Times(float(os.environ.get("FRAMELEND_STARTED") or time.time()))
    layout = Layout.of()
    try:
        return _demo(layout, times)
    except (FarmError, FramelendError) as problem:
        console.print(f"\n[red]The demo failed.[/] {problem}\n  logs:   {layout.logs}", highlight=False)
        code = 1
    except KeyboardInterrupt:
        console.print("\nStopped by hand.")
        code = 130
    except BaseException:
        _stop(layout)
        raise
    _stop(layout)
    return code


def _stop(layout: Layout) -> None:
    """All of it, also for who is impatient: a second Ctrl-C would leave half of the farm running."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    local.down(layout)


def _demo(layout: Layout, times: Times) -> int:
    _say("1  the render image")
    layout.make()
    engine.ensure(layout)
    image = rendering.render_image_id()
    _say("2  the farm")
    _settings(layout, image)
    farm = local.up(layout)
    _say("3  the people")
    run = secrets.token_hex(3)
    with cast.operator(farm) as operator:
        owners = cast.lenders(layout, operator, run)
        renter = cast.person(operator, f"rita-{run}", "renter")
        operator.issue_credits(renter.account, cast.CREDITS)
    times.mark("set up")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    witness = Witness(farm)
    witness.start()
    try:
        with Client(farm.http("INTAKE"), renter.key) as client:
            job = _job(client, times)
            times.mark("first picture", witness.first_picture)
            told = report.write(FOLDER, farm, job, witness, owners, renter, times)
            link = client.page_link(job.id)
    finally:
        witness.stop()
    report.show(told, job, owners)
    _dashboard(farm.http("PROMETHEUS"))
    _addresses(farmfile.read(layout), f"{farm.http('INTAKE')}{link}" if link.startswith("/") else link)
    if not told["ok"] or told["ledger_sum_micro"] != 0:
        wrong = "a frame is missing" if not told["ok"] else "the ledger does not sum to zero"
        raise FarmError("the job", f"it ended, but {wrong}; see {FOLDER / 'report.json'}")
    return 0


def _settings(layout: Layout, image: str) -> None:
    """Known before the services start: they are told by their environment."""
    before = farmfile.parse(layout.env_file.read_text()) if layout.env_file.exists() else {}
    farmfile.write(layout, {**before, "FARM_RENDER_IMAGE": image, "FARM_CHUNK_SECONDS": CHUNK_SECONDS})


def _job(client: Client, times: Times) -> Job:
    _say("4  the animation")
    scene = make_sample(FOLDER / "scene")
    _say("5  the job")
    job = play.submit(client, scene, FOLDER)
    times.mark("submitted")
    job = play.quoted(client, job, times)
    job = play.rendered(client, job, times)
    play.downloaded(client, job, FOLDER)
    times.mark("done")
    return job


def _dashboard(prometheus: str) -> None:
    """Every query of *Farm overview* must have data by now; Prometheus may need two more scrapes."""
    until = time.monotonic() + DASHBOARD_SECONDS
    while (empty := without_data(prometheus, WINDOW_SECONDS, VARIABLES)) and time.monotonic() < until:
        time.sleep(1)
    for one in empty:
        console.print(f"  [yellow]no data[/] {one}", highlight=False)
    console.print(f"\n  dashboard    {'every query has data' if not empty else f'{len(empty)} queries have no data'}")


def _addresses(farm: farmfile.FarmFile, link: str) -> None:
    console.print(f"\n  results      {FOLDER}", highlight=False)
    console.print(f"  job page     {link}", soft_wrap=True, highlight=False)
    for name, what in (("PROMETHEUS", "metrics"), ("TRACEBOX", "traces"), ("RABBIT_MANAGEMENT", "broker")):
        console.print(f"  {what:<12} {farm.http(name)}", highlight=False)
    console.print("  The farm stays up; `make down` stops it.")


def _say(text: str) -> None:
    console.print(f"\n[bold]{text}[/]")


if __name__ == "__main__":
    Path(FOLDER).parent.mkdir(exist_ok=True)
    sys.exit(main())
