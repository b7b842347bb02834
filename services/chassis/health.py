"""`/health` and `/metrics` on every service, beside whatever HTTP the service itself has."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aio_pika.abc import AbstractRobustConnection
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from services.chassis.metrics import UP


def door(
    ground: Any, http: ASGIApp | None, tasks: Sequence["asyncio.Task[None]"], notes: Callable[[], Sequence[str]] = tuple
) -> ASGIApp:
    """`/health` is 200 when broker and database answer and every background task lives, else 503 with what is wrong."""

    async def wrong() -> list[str]:
        found = [*_broker(ground.connection), *await _database(ground.database), *_tasks(tasks)]
        UP.labels(ground.name).set(0 if found else 1)
        return found

    async def health(_: Request) -> Response:
        found = await wrong()
        told = {"service": ground.name, "ok": not found, "wrong": found, "notes": list(notes())}
        return JSONResponse(told, 503 if found else 200)

    async def measured(_: Request) -> Response:
        await wrong()
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    routes: list[Any] = [Route("/health", health), Route("/metrics", measured)]
    if http is not None:
        routes.append(Mount("/", http))
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return app


def _broker(connection: AbstractRobustConnection) -> list[str]:
    return [] if connection.connected.is_set() else ["the broker is away"]


async def _database(database: Any) -> list[str]:
    try:
        await asyncio.wait_for(database.command("ping"), 2)
    except Exception as problem:
        return [f"the database is away: {type(problem).__name__}"]
    return []


def _tasks(tasks: Sequence["asyncio.Task[None]"]) -> list[str]:
    return [f"a background task ended: {task.get_name()}" for task in tasks if task.done()]
