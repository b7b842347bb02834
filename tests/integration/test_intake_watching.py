"""Watching a job: the stream and its resuming, frames on their way, pictures, the page and its passes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from contracts import events as e
from contracts.grants import Grant
from contracts.values import FrameRange, Picture
from services.chassis.delivery import SENDER
from tests.integration.intake_stage import (  # noqa: F401
    PICTURES,
    Person,
    Stage,
    inspected,
    progress,
    stored_frames,
    the_renter,
    the_stage,
    the_stranger,
)
from tests.waiting import until

Told = tuple[str | None, str, Any]
"""(id, event, data) of one server-sent event."""


class Watcher:
    """Reads a stream in the background."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def numbers(self) -> list[int]:
        return [int(id) for id, event, _ in self.told if event == "timeline" and id]

    def latest(self, event: str) -> Any:
        return next((data for _, kind, data in reversed(self.told) if kind == event), None)


@asynccontextmanager
async def watching(person: Person, job: str, last: int | None = None) -> AsyncIterator[Watcher]:
    watcher, headers = Watcher(), {} if last is None else {"Last-Event-ID": str(last)}

    async def read() -> None:
        async with person.http.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            block: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    block[name] = value
                elif "data" in block:
                    watcher.told.append((block.get("id"), block["event"], json.loads(block["data"])))
                    block = {}

    task = asyncio.create_task(read())
    try:
        yield watcher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_stored_frame_is_seen_while_the_stream_is_open(stage: Stage, renter: Person) -> None:
    """The promise is two seconds; the test waits ten times as long."""
    job = await stage.a_held_job(renter)
    async with watching(renter, job) as watcher:
        await until(lambda: watcher.latest("job"), "the stream begins")
        await stage.world.say("storage", stored_frames(job, 3, 4))
        await until(lambda: (watcher.latest("frames") or {}).get("stored") == "3-4", "the frames are seen", 20)
        await until(lambda: watcher.latest("job")["stored"] == 2, "the count is seen", 20)
        await until(lambda: watcher.latest("timeline")["data"].get("frames") == "3-4", "the story tells it", 20)


async def test_a_stream_that_broke_goes_on_without_missing_or_repeating_a_line(stage: Stage, renter: Person) -> None:
    job = await stage.a_held_job(renter)
    async with watching(renter, job) as watcher:
        await until(lambda: len(watcher.numbers()) >= 3, "the story so far")
    seen = watcher.numbers()
    await stage.world.say("storage", stored_frames(job, 1), stored_frames(job, 2), stored_frames(job, 1))
    async with watching(renter, job, last=seen[1]) as again:
        await until(lambda: len(again.numbers()) >= len(seen), "the rest of the story")
        rest = again.numbers()
    assert rest == list(range(seen[1] + 1, seen[1] + 1 + len(rest)))
    story = (await renter.get(f"/v1/jobs/{job}/timeline")).json()
    assert [line["number"] for line in story] == list(range(1, len(story) + 1))
    assert sorted(line["data"]["frames"] for line in story if line["kind"] == "frames.stored") == ["1", "2"]
    for path in ("timeline", "events"):
        assert (await renter.get(f"/v1/jobs/{job}/{path}?after={1 << 64}")).status_code == 422, "no number of an entry"


async def test_frames_far_apart_fill_their_own_buckets(stage: Stage, renter: Person) -> None:
    job = await stage.a_job(renter, frames="-5-2500")
    await stage.world.say("scheduler", e.JobInspected(job=job, account=renter.id, accepted=True, findings=(), frames=_whole()))
    facts = [stored_frames(job, *range(first, first + 50), attempt=f"a{first}") for first in (-5, 960, 1990)]
    await stage.world.say("storage", *facts, *facts)
    await stage.seen(renter, job, lambda view: view["stored"] == 150, "all are counted once")
    found = (await renter.get(f"/v1/jobs/{job}/frames")).json()
    assert (found["stored_count"], found["total"]) == (150, 2506)
    assert found["stored"] == "-5--1,0-44,960-999,1000-1009,1990-1999,2000-2039"
    assert await stage.world.database("intake")["frames"].count_documents({"job": job}) == 4


def _whole() -> tuple[FrameRange, ...]:
    return (FrameRange(first=-5, last=2500),)


async def test_frames_arrive_only_from_agents_the_scheduler_says_are_at_work(stage: Stage, renter: Person) -> None:
    job = await stage.a_held_job(renter)
    honest, liar = (await stage.world.an_agent())[0], (await stage.world.an_agent("liar"))[0]
    far = e.FrameUnderWay(frame=1, seconds=4.5, sample=3, samples=8, remaining_seconds=6.0)
    share = e.AgentShare(agent=honest, frames=(1, 2), stored=0, under_way=(far,))
    await stage.world.say("scheduler", inspected(job, renter.id), progress(job, renter.id, agents=(share,)))
    view = await stage.seen(renter, job, lambda view: view["agents"], "the agent is at work")
    assert view["agents"][0]["under_way"] == [far.model_dump()]
    await stage.world.say(liar, _completed(job, liar, 5))
    await stage.world.say(honest, _completed(job, honest, 1, 2, 77))

    async def arriving() -> str:
        return str((await renter.get(f"/v1/jobs/{job}/frames")).json()["arriving"])

    await until(lambda: _equal(arriving(), "1-2"), "both arrive, 77 is no frame of the job", 20)
    refused = e.RejectedFrame(frame=2, code="not_a_picture", text="It is no picture.")
    no = e.FramesRejected(job=job, chunk="c", attempt="attempt-1", agent=honest, kind="render", generation=0, frames=(refused,))
    await stage.world.say("storage", no, stored_frames(job, 1))
    await until(lambda: _equal(arriving(), ""), "one is stored, one is not coming", 20)
    await stage.world.say(honest, _completed(job, honest, 2))
    await stage.world.say(liar, _completed("j-unheard-of", liar, 1))
    letters: list[Any] = []

    async def parked() -> bool:
        letters.extend(await stage.world.dead("intake"))
        return bool(letters)

    await until(parked, "a job that does not exist is the agent's fault", 20)
    assert letters[0].headers[SENDER] == liar
    assert await arriving() == ""


async def _equal(doing: Any, expected: str) -> bool:
    return bool(await doing == expected)


def _completed(job: str, agent: str, *frames: int) -> e.FramesCompleted:
    grant = Grant(
        agent=agent, job=job, chunk="c", attempt="attempt-1", kind="render", frames=(FrameRange(first=1, last=100),),
        bundle="0" * 64, picture=Picture(width=8, height=8), max_bytes=1000, until="2099-01-01T00:00:00Z", mac="0" * 64,
    )  # fmt: skip
    return e.FramesCompleted(grant=grant, frames=tuple(e.CompletedFrame(frame=n, file_sha256="0" * 64) for n in frames))


async def test_words_about_a_job_that_is_not_known_yet_wait_for_it(stage: Stage, renter: Person) -> None:
    """A restored database: the fact is tried again until the job is there."""
    job = await stage.a_job(renter)
    jobs = stage.world.database("intake")["jobs"]
    kept = await jobs.find_one_and_delete({"_id": job})
    await stage.world.say("scheduler", e.JobStateChanged(job=job, account=renter.id, state="inspecting", revision=2))
    await asyncio.sleep(0.3)
    await jobs.insert_one(kept)
    await stage.seen(renter, job, lambda view: view["state"] == "inspecting", "the late word is folded")


async def test_thumbnails_asked_for_together_are_few_questions_to_storage(stage: Stage, renter: Person) -> None:
    job, frames = await stage.a_job(renter), range(1, 31)
    asking = asyncio.gather(*(renter.get(f"/v1/jobs/{job}/thumbnails/{frame}") for frame in frames))
    answered = set[str]()
    while not asking.done():
        for asked in stage.world.said(e.DownloadsRequested, job=job):
            if asked.request not in answered:
                answered.add(asked.request)
                await stage.world.say("storage", _pictures(asked, job, renter.id))
        await asyncio.sleep(0.02)
    answers = await asking
    assert [answer.status_code for answer in answers] == [302] * 29 + [404]
    assert answers[0].headers["location"] == f"{PICTURES}/thumbnails/1"
    questions = len(answered)
    assert questions < 15
    assert (await renter.get(f"/v1/jobs/{job}/thumbnails/1")).status_code == 302
    assert len(stage.world.said(e.DownloadsRequested, job=job)) == questions, "the address was kept"


def _pictures(asked: e.DownloadsRequested, job: str, account: str) -> e.DownloadsGranted:
    """There is none of frame 30."""
    found = [
        e.Download(name=name, url=f"{PICTURES}/{name}", bytes=1, sha256="0" * 64)
        for name in asked.names
        if not name.endswith("30")
    ]
    return e.DownloadsGranted(request=asked.request, job=job, account=account, downloads=tuple(found), seconds_valid=600)


async def test_a_link_opens_one_jobs_page_and_nothing_else(stage: Stage, renter: Person) -> None:
    job, other = await stage.a_quoted_job(renter), await stage.a_quoted_job(renter)
    link = (await renter.post(f"/v1/jobs/{job}/page-links")).json()["path"]
    async with httpx.AsyncClient(base_url=stage.intake.url) as browser:
        opened = await browser.get(link)
        assert (opened.status_code, opened.headers["location"]) == (303, f"/jobs/{job}")
        assert all("HttpOnly" in value for value in opened.headers.get_list("set-cookie"))
        page = await browser.get(f"/jobs/{job}")
        assert page.status_code == 200
        assert "'unsafe-inline'" not in page.headers["content-security-policy"]
        assert f"img-src 'self' {PICTURES}" in page.headers["content-security-policy"]
        assert renter.key not in page.text
        assert (await browser.get(f"/v1/jobs/{job}")).status_code == 200
        assert (await browser.get(f"/v1/jobs/{other}")).status_code == 401
        assert (await browser.get(f"/jobs/{other}")).status_code == 404
        assert (await browser.get("/v1/account")).status_code == 401
        await _only_from_its_own_page(stage, browser, job)


async def _only_from_its_own_page(stage: Stage, browser: httpx.AsyncClient, job: str) -> None:
    path = f"/v1/jobs/{job}/quote/accept"
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        answer = await browser.post(path, json={"version": 1}, headers={"Idempotency-Key": "p", **origin})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:framelend:problem:foreign-page")
    assert not stage.world.said(e.QuoteAccepted, job=job)
    own = {"Origin": stage.intake.url, "Idempotency-Key": "p"}
    assert (await browser.post(path, json={"version": 1}, headers=own)).status_code == 202
    await stage.world.hear(e.QuoteAccepted, job=job)


@pytest.mark.parametrize("change", ["", "x", "99999999999.a.b", "1.a.b", "²5.a.b"])
async def test_a_pass_that_is_not_ours_opens_nothing(stage: Stage, renter: Person, change: str) -> None:
    job = await stage.a_job(renter)
    link = (await renter.post(f"/v1/jobs/{job}/page-links")).json()["path"]
    good = link.partition("pass=")[2]
    async with httpx.AsyncClient(base_url=stage.intake.url) as browser:
        for text in (change, good + change[:1] if change else good[:-1], good.replace(renter.id, "operator")):
            answer = await browser.get(f"/jobs/{job}/open", params={"pass": text})
            assert answer.status_code == 404
            assert "set-cookie" not in answer.headers
        browser.cookies.set("framelend_page", good)
        assert (await browser.get(f"/v1/jobs/{job}")).status_code == 401, "a link's pass is no page's pass"


async def test_the_callers_trace_goes_on_with_the_job(stage: Stage, renter: Person) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    bundle = await stage.a_bundle(renter)
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "Idempotency-Key": "traced"}
    channel = await (await stage.world.admin()).channel()
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(await channel.get_exchange("farm.events", ensure=False), e.JobSubmitted.key())
    await renter.http.post("/v1/jobs", json={"bundle": bundle, "price_per_wu": "1"}, headers=headers)
    message = await until(lambda: queue.get(fail=False), "the job is told")
    assert message is not None
    assert trace in str(message.headers["traceparent"])


async def test_intake_stops_at_once_although_people_are_waiting(stage: Stage, renter: Person) -> None:
    """The last test of this file: it stops the service."""
    job = await stage.a_job(renter)
    revision = (await renter.get(f"/v1/jobs/{job}")).json()["revision"]
    polling = asyncio.create_task(renter.get(f"/v1/jobs/{job}", params={"wait": 30, "after": revision}))
    async with watching(renter, job) as watcher:
        await until(lambda: watcher.latest("job"), "the stream is open")
        code = await asyncio.to_thread(stage.intake.stop)
    assert code == 0
    assert (await polling).status_code == 200
    log = stage.intake.log.read_text()
    assert "Exception in ASGI application" not in log
    assert "Traceback" not in log
