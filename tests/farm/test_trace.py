"""One trace from the renter's HTTP request to the lender's container, also when an event had to wait for the sweep."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from contracts.events import JobSubmitted
from tests.farm.farmhouse import Account, Farm
from tests.farm.renting import accepted, settled, submitted
from tests.faults.wire import Way, Wire
from tests.waiting import until

SPEAKERS = {"intake", "scheduler", "storage", "billing", "agent", "notifier"}
LAST = {
    "container",
    "verify frame",
    "storage package",
    "billing job.estimated.v1",
    "billing frames.sealed.v1",
    "notifier job.settled.v1",
}
Span = dict[str, Any]


async def test_one_trace_leads_from_the_request_to_the_container_although_its_first_event_was_lost(
    house: Farm, scenes: Path
) -> None:
    lender, renter = await house.account("lena", "lender"), await house.account("rita", credits=20)
    await house.lend(lender.id, "lena", cpus=1)
    wire = Wire(house.world.farm.port("AMQP"))
    await wire.open()
    try:
        await _through(house, renter, scenes, wire)
    finally:
        await wire.close()
        house.services["intake"].kill()
        await house.start("intake")


async def _through(house: Farm, renter: Account, scenes: Path, wire: Wire) -> None:
    await _intake_behind(house, wire)
    wire.hold("intake", JobSubmitted.key(), Way.SAID)
    submitting = asyncio.create_task(submitted(house, renter, scenes / "ok_small", "1-8"))
    await until(wire.holds, "intake announces the job", 60)
    assert not house.world.said(JobSubmitted, account=renter.id)
    await wire.cut()
    job = await submitting
    await house.world.hear(JobSubmitted, 30, job=job)
    await accepted(house, renter, job)
    done = await settled(house, renter, job)
    assert done.state == "completed", done.reason
    await until(lambda: asyncio.to_thread(_whole, house, job), "the whole trace is in the box", 30)


async def _intake_behind(house: Farm, wire: Wire) -> None:
    """Intake again, with a wire to the broker that can be cut."""
    house.services["intake"].kill()
    url = house.world.environment("intake")["FRAMELEND_AMQP_URL"]
    await house.start("intake", FRAMELEND_AMQP_URL=url.replace(f":{house.world.farm.port('AMQP')}/", f":{wire.port}/"))


def _whole(house: Farm, job: str) -> bool:
    """The trace of the job's containers holds everybody, hangs together, and begins with the renter's request."""
    with httpx.Client(base_url=house.world.farm.http("TRACEBOX"), trust_env=False) as box:
        found = box.get("/api/traces", params={"attribute": "framelend.job", "value": job}).raise_for_status().json()
        traces = [box.get(f"/api/traces/{id}").raise_for_status().json() for id in found]
    rendered = [spans for spans in traces if any(span["name"] == "container" for span in spans)]
    assert len(rendered) <= 1, "the job's containers are in one trace"
    return bool(rendered) and _hangs_together(rendered[0])


def _hangs_together(spans: list[Span]) -> bool:
    known = {span["span_id"] for span in spans}
    roots = [span for span in spans if span["parent"] not in known]
    is_one = [(span["service"], span["name"]) for span in roots] == [("intake", "POST /v1/jobs")]
    return is_one and {span["service"] for span in spans} >= SPEAKERS and _climbs(spans)


def _climbs(spans: list[Span]) -> bool:
    """From a container of a render attempt up to the request, through the agent and the scheduler."""
    by_id = {span["span_id"]: span for span in spans}
    at = next((s for s in spans if s["name"] == "container" and s["attributes"]["framelend.kind"] == "render"), None)
    way = []
    while at is not None:
        way.append(at["service"])
        at = by_id.get(at["parent"])
    return way[:2] == ["agent", "agent"] and way[-1:] == ["intake"] and "scheduler" in way
