"""Following a job: its server-sent events, resumed after a lost connection so that no line of its story is missed or doubled."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from framelend.models import Job, TimelineLine
from framelend.problems import FarmProblem, FarmUnreachable
from framelend.transport import Transport

if TYPE_CHECKING:
    from framelend.client import Client

TRIES = 30
"""Lost connections in a row before giving up: about nine minutes."""


@dataclass(frozen=True)
class Bucket:
    """Of up to 1,000 frames: which are stored, which are on their way; as text."""

    first: int
    last: int
    stored: str
    arriving: str


@dataclass(frozen=True)
class Lost:
    """The connection broke; it is being made again."""

    attempt: int


News = TimelineLine | Job | Bucket | Lost


def follow(farm: Transport, job: str, after: int = 0) -> Iterator[News]:
    """Raises FarmUnreachable when the farm stays away, FarmProblem when it refuses."""
    last, failures = after, 0
    while True:
        try:
            with farm.stream(f"/v1/jobs/{job}/events", {"Last-Event-ID": str(last)}) as answer:
                for number, event, data in messages(answer.iter_lines()):
                    failures, last = 0, last if number is None else number
                    yield _read(event, data)
        except (httpx.TransportError, FarmUnreachable, FarmProblem) as broken:
            if isinstance(broken, FarmProblem) and broken.status < 500 and broken.status != 429:
                raise
            failures += 1
            if failures > TRIES:
                raise FarmUnreachable("The farm has been away for too long; the job goes on without being watched.") from broken
            yield Lost(failures)
            farm.rest(min(failures, 5))


def messages(lines: Iterator[str]) -> Iterator[tuple[int | None, str, str]]:
    """(id, event, data) of every complete event of a stream."""
    number: int | None = None
    event, data = "message", list[str]()
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                yield number, event, "\n".join(data)
            number, event, data = None, "message", []
        elif name == "id" and value.isdigit():
            number = int(value)
        elif name == "event":
            event = value
        elif name == "data":
            data.append(value)


def until(client: "Client", job: str, condition: Callable[[Job], bool], seconds: float) -> Job:
    end = time.monotonic() + seconds
    found = client.job(job)
    while not condition(found):
        left = end - time.monotonic()
        if left <= 0:
            break
        found = client.job(job, wait=min(25.0, left), after=found.revision)
    return found


def _read(event: str, data: str) -> News:
    if event == "timeline":
        return TimelineLine.model_validate_json(data)
    if event == "job":
        return Job.model_validate_json(data)
    body = json.loads(data)
    return Bucket(body["first"], body["last"], body["stored"], body["arriving"])
