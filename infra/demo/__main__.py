"""`make demo`. A failure or Ctrl-C at any moment stops everything; after success the farm stays up until `make down`."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

from framelend import Client, FramelendError, Job
from rich.console import Console
from rich.markup import escape

from infra.demo import cast, play, report
from infra.demo.play import Times
from infra.demo.sample import make_sample
from infra.demo.witness import Witness
from infra.grafana.queries import VARIABLES, without_data
from infra.images import rendering
from infra.local import engine, farmfile, supervision
from infra.local import farm as local
from infra.local.failure import FarmError
from infra.local.farmfile import FarmFile
from infra.local.layout import CHECKOUT, Layout

FOLDER = CHECKOUT / "build" / "demo"
DASHBOARD_SECONDS = 45
WINDOW_SECONDS = 3600
CHUNK_SECONDS = "8"
"""Small chunks, so that a short animation is shared by everybody; a real farm aims at a minute."""
AUDIT_SECONDS = "5"
console = Console()
steps: list[str] = []
"""Those begun, for whoever asks where it failed."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    times = Times(float(os.environ.get("FRAMELEND_STARTED") or time.time()))
    layout = Layout.of()
    try:
        return _demo(layout, times)
    except KeyboardInterrupt:
        console.print("\nStopped by hand.")
        code = 130
    except Exception as problem:
        _explain(problem, layout)
        code = 1
    except BaseException:
        _stop(layout)
        raise
    _stop(layout)
    return code


def _explain(problem: Exception, layout: Layout) -> None:
    """Which part failed, where its log is, what to do; of what nobody foresaw the whole story goes into a file."""
    known = isinstance(problem, FarmError | FramelendError)
    what = str(problem) if known else f"{type(problem).__name__}: {problem}"
    console.print(f"\n[red]The demo failed[/] at step {steps[-1] if steps else '0'}. {escape(what)}", highlight=False)
    if not known:
        with suppress(OSError):
            story = layout.logs / "demo.log"
            story.write_text("".join(traceback.format_exception(problem)))
            console.print(f"  log:    {story}", highlight=False)
    console.print(f"  logs:   {layout.logs}", highlight=False)
    if not (isinstance(problem, FarmError) and problem.advice):
        console.print("  do:     `make demo` again; if it fails at the same step, look at the newest of these logs")


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
    farm = _infrastructure(layout)
    witness = Witness(farm)
    witness.start()
    try:
        local.serve(layout, _brisk(farm))
        return _played(layout, farm, witness, times)
    finally:
        witness.stop()


def _infrastructure(layout: Layout) -> FarmFile:
    """A farm that is up already starts anew: who lent to it before would render this job, too, with speeds nobody has heard."""
    if supervision.pid(layout) is not None:
        console.print("  A farm is up already; it is stopped and started again, with what it holds.")
        local.down(layout)
    return local.up(layout, local.INFRA)


def _played(layout: Layout, farm: FarmFile, witness: Witness, times: Times) -> int:
    _say("3  the people")
    run = secrets.token_hex(3)
    with cast.operator(farm) as operator:
        owners = cast.lenders(layout, operator, run)
        renter = cast.person(operator, f"rita-{run}", "renter")
        operator.issue_credits(renter.account, cast.CREDITS)
    times.mark("set up")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with Client(farm.http("INTAKE"), renter.key) as client:
        job = _job(client, times)
        if witness.first_picture is None:
            raise FarmError("the witness", "heard of no stored frame", advice="see `make logs NAME=storage`")
        times.mark("first picture", witness.first_picture)
        _say("6  the books")
        told = report.write(FOLDER, farm, job, witness, renter, times)
        link = client.page_link(job.id)
    report.show(told, job, owners)
    told["dashboard_silent"] = _dashboard(farm.http("PROMETHEUS"))
    times.mark("done")
    wrong = report.faults(told)
    report.keep(FOLDER, told, times)
    _addresses(farmfile.read(layout), f"{farm.http('INTAKE')}{link}" if link.startswith("/") else link)
    if wrong:
        raise FarmError("the job", f"it ended, but {'; '.join(wrong)}", advice=f"see {FOLDER / 'report.json'} and the logs")
    return 0


def _settings(layout: Layout, image: str) -> None:
    """Known before the services start: they are told by their environment."""
    before = farmfile.parse(layout.env_file.read_text()) if layout.env_file.exists() else {}
    farmfile.write(layout, {**before, "FARM_RENDER_IMAGE": image})


def _brisk(farm: FarmFile) -> FarmFile:
    """As long as the demo's farm is up; written down, the same farm would keep it for its real work."""
    return FarmFile({**farm.values, "FARM_CHUNK_SECONDS": CHUNK_SECONDS, "FARM_AUDIT_SECONDS": AUDIT_SECONDS})


def _job(client: Client, times: Times) -> Job:
    _say("4  the animation")
    scene = make_sample(FOLDER / "scene")
    _say("5  the job")
    job = play.submit(client, scene, FOLDER)
    times.mark("submitted")
    job = play.quoted(client, job, times)
    job = play.rendered(client, job, times)
    play.downloaded(client, job, FOLDER)
    times.mark("downloaded")
    return job


def _dashboard(prometheus: str) -> list[str]:
    """The queries of *Farm overview* without data: none by now; Prometheus may need two more scrapes."""
    until = time.monotonic() + DASHBOARD_SECONDS
    while (empty := without_data(prometheus, WINDOW_SECONDS, VARIABLES)) and time.monotonic() < until:
        time.sleep(1)
    for one in empty:
        console.print(f"  [yellow]no data[/] {one}", highlight=False)
    console.print(f"\n  dashboard    {'every query has data' if not empty else f'{len(empty)} queries have no data'}")
    return [str(one) for one in empty]


def _addresses(farm: farmfile.FarmFile, link: str) -> None:
    console.print(f"\n  results      {FOLDER}", highlight=False)
    console.print(f"  job page     {link}", soft_wrap=True, highlight=False)
    for name, what in (("PROMETHEUS", "metrics"), ("TRACEBOX", "traces"), ("RABBIT_MANAGEMENT", "broker")):
        console.print(f"  {what:<12} {farm.http(name)}", highlight=False)
    console.print("  The farm stays up; `make down` stops it.")


def _say(text: str) -> None:
    steps.append(text)
    console.print(f"\n[bold]{text}[/]")


if __name__ == "__main__":
    Path(FOLDER).parent.mkdir(exist_ok=True)
    sys.exit(main())
