"""Jobs, chunks and agents for tests, each with only what the test is about."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from contracts.events import JobSubmitted, SceneFacts
from contracts.values import Band, Benchmark, Curve, FrameRange, Hardware, Kind, Knot, Picture, Ranges
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.holding import Holder
from services.scheduler.domain.job import Job, Sample
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import AgentState, JobState
from tests.unit import clock

NOW = clock.NOW
IMAGE = "sha256:" + "a" * 64
GIB = 1 << 30
WU = 1_000_000
POLICY = Policy()


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def span(first: int, last: int, step: int = 1) -> Ranges:
    return (FrameRange(first=first, last=last, step=step),)


def a_submission(**changes: Any) -> JobSubmitted:
    fields = {
        "job": "job", "account": "ada", "name": "film", "bundle": "b" * 64, "bundle_bytes": 1000, "blend": "film.blend",
        "price_per_wu_micro": 100,
    }  # fmt: skip
    return JobSubmitted.model_validate({**fields, **changes})


def some_facts(**changes: Any) -> SceneFacts:
    fields = {
        "blender_version": "5.0.1", "engine": "CYCLES", "scenes": ("Scene",), "cameras": ("Camera",), "frame_start": 1,
        "frame_end": 12, "width": 480, "height": 270,
    }  # fmt: skip
    return SceneFacts.model_validate({**fields, **changes})


def a_job(job: str = "job", state: JobState = JobState.SUBMITTED, account: str = "ada", **changes: Any) -> Job:
    asked = changes.pop("asked", a_submission(job=job, account=account, price_per_wu_micro=changes.pop("bid", 100)))
    return Job(job, account, changes.pop("created_at", NOW), asked, state, **changes)


def a_sampled_job(last: int = 100, **changes: Any) -> Job:
    """Through sampling: 1 WU a frame, nothing cut; a deadline was in reach when the price was accepted."""
    fields: dict[str, Any] = {
        "facts": some_facts(), "frames": span(1, last), "total": last, "picture": Picture(width=480, height=270),
        "memory_bytes": GIB, "version": 1, "curve": Curve(knots=(Knot(frame=1, micro_wu=WU),)),
        "micro_wu": Band(low=last * WU, expected=last * WU, high=last * WU), "seconds": Band(low=1, expected=2, high=3),
        "uncut": span(1, last), "to_render": last, "samples": (Sample(1, anchor=True, micro_wu=WU),),
    }  # fmt: skip
    job = a_job(**{"state": JobState.QUEUED, **fields, **changes})
    return job if job.asked is None or "promised" in changes else replace(job, promised=job.asked.limits.deadline)


def a_chunk(last: int = 4, chunk: str = "chunk", job: str = "job", **changes: Any) -> Chunk:
    fields = {"kind": Kind.RENDER, "frames": span(1, last), "opened_at": NOW}
    return Chunk(chunk, job, **{**fields, **changes})


def a_holder(attempt: str = "first", agent: str = "ann", **changes: Any) -> Holder:
    return Holder(attempt, agent, **{"at": NOW, "hard_end": later(3600), **changes})


def an_agent(agent: str = "ann", slots: int = 1, house: bool = False, **changes: Any) -> Agent:
    fields: dict[str, Any] = {
        "state": AgentState.ONLINE, "run": "run-1", "hardware": Hardware(cores=1, memory_bytes=4 * GIB),
        "benchmark": Benchmark(cpu_micros=WU, wall_micros=WU), "images": (IMAGE,), "seen_at": NOW,
        "micro_wu_per_minute": 60 * WU,
    }  # fmt: skip
    owner = changes.pop("owner", f"owner-of-{agent}")
    return Agent(agent, owner, agent.title(), house, slots=slots, **{**fields, **changes})


def a_hand(attempt: str = "first", chunk: str = "chunk", job: str = "job", **changes: Any) -> Hand:
    return Hand(attempt, chunk, job, **{"since": NOW, **changes})


FRAME = 120 + 120
"""Seconds for each frame to be stored."""
