"""The life of a service process: connect, build, consume, answer health, stop without losing a message."""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pymongo
import structlog
import uvicorn
from aio_pika.abc import AbstractRobustConnection
from starlette.types import ASGIApp

from contracts.bus import Announcement, Announcer, connect
from contracts.events import Event
from services.chassis import database as databases
from services.chassis import logs, metrics, sweeps, traces
from services.chassis.batches import BatchConsumer
from services.chassis.clock import DatabaseClock
from services.chassis.conduct import Limits
from services.chassis.disposal import Disposal
from services.chassis.doorkeeper import Doorkeeper, Report
from services.chassis.health import door
from services.chassis.inbox import Inboxes
from services.chassis.repository import SavedThenTold
from services.chassis.settings import ServiceSettings
from services.chassis.sweeps import Sweep

log = structlog.get_logger()
COLLECT_AFTER = 100_000
"""Objects made and not dropped, before the youngest are looked through: more than the groups under way are made of."""
SWITCH_SECONDS = 0.0005
"""The database's driver works in threads. While a batch is decided each of their steps waits so long for the interpreter."""


@dataclass(frozen=True)
class Ground:
    """What `build` stands on."""

    name: str
    settings: ServiceSettings
    database: Any
    """The service's own MongoDB database (motor)."""
    clock: DatabaseClock
    connection: AbstractRobustConnection
    announcer: Announcer
    doorkeeper: Doorkeeper

    def repository(
        self, collection: str, state_type: type[Any], finish: Any = None, join: Any = None, remembers: int = 0
    ) -> SavedThenTold[Any]:
        found = self.database[collection]
        return SavedThenTold(self.name, found, state_type, self.announcer, self.clock, finish, join, remembers)

    async def say(self, event: Event) -> None:
        """Announce what is not worth saving (transient answers). Raises NotAnnounced."""
        await self.announcer.announce(Announcement(event, trace=traces.carried()))


@dataclass(frozen=True)
class Service:
    """What `build` returns: everything the process runs."""

    inboxes: Inboxes
    repositories: Sequence[SavedThenTold[Any]] = ()
    """Their leftovers are swept."""
    sweeps: Sequence[Sweep] = ()
    prepare: Callable[[], Awaitable[None]] | None = None
    """Indexes and the like, before anything is consumed."""
    http: ASGIApp | None = None
    closing: Sequence[Callable[[], Awaitable[None]]] = field(default=())
    stopping: Callable[[], None] = lambda: None
    """Called as soon as the service shall stop, so that requests that wait on purpose end now."""
    shut_out: Callable[[], Awaitable[Iterable[str]]] | None = None
    """Agents that are not to be heard, asked for once before anything is consumed."""
    misconduct: Report | None = None
    """What to do about an agent that says too much."""
    notes: Callable[[], Sequence[str]] = tuple
    """What `/health` says besides; nothing of it is wrong."""


Build = Callable[[Ground], Awaitable[Service]]


async def serve(name: str, settings: ServiceSettings, build: Build) -> None:
    """Run until SIGTERM or SIGINT. Raises what start-up raises, so that the supervisor sees it."""
    logs.configure(name, settings.log_level)
    provider = traces.configure(name, settings.otlp_url)
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(grounded(name, settings))
        service = await build(ground)
        tasks = await _start(ground, service, stack)
        server = uvicorn.Server(configured(settings, door(ground, service.http, tasks, service.notes)))
        _spare_the_collector()
        sys.setswitchinterval(SWITCH_SECONDS)
        log.info("ready", port=settings.http_port)
        metrics.UP.labels(name).set(1)
        await _until_stopped(server, tasks, service.stopping)
        metrics.UP.labels(name).set(0)
    provider.shutdown()


def _spare_the_collector() -> None:
    """What is here now stays, and what a batch makes and drops again need not be looked through while it lives."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 10, 10)


@asynccontextmanager
async def grounded(name: str, settings: ServiceSettings) -> AsyncIterator[Ground]:
    """What a service, or an operator's command that acts as one, stands on. Raises what connecting raises."""
    client = databases.client(name, settings)
    database = client[settings.mongo_database]
    try:
        async with await connect(settings.amqp_url.get_secret_value(), name) as connection:
            clock, announcer = DatabaseClock(database), Announcer(connection, name)
            doorkeeper = Doorkeeper(name, Limits() if settings.guard_inboxes else None)
            yield Ground(name, settings, database, clock, connection, announcer, doorkeeper)
    finally:
        client.close()


async def _start(ground: Ground, service: Service, stack: AsyncExitStack) -> list[asyncio.Task[None]]:
    with pymongo.timeout(databases.INDEXED_SECONDS):
        await _prepare(service, stack)
    for close in service.closing:
        stack.push_async_callback(close)
    ground.doorkeeper.reports_to(service.misconduct)
    if service.shut_out is not None:
        ground.doorkeeper.shut(await service.shut_out())
    disposal = Disposal(ground.name, ground.announcer, ground.doorkeeper)
    url = ground.settings.amqp_url.get_secret_value()
    batches = service.inboxes.consumers(disposal)
    consuming = await connect(url, f"{ground.name} batches")
    consuming.reconnect_callbacks.add(lambda *_: ground.doorkeeper.was_deaf())
    stack.push_async_callback(consuming.close)
    broker = service.inboxes.broker(url, disposal)
    stack.push_async_callback(broker.stop)
    stack.push_async_callback(disposal.settled)
    tasks = [asyncio.create_task(sweeps.run(ground.name, sweep)) for sweep in (*service.sweeps, *_leftovers(ground, service))]
    stack.push_async_callback(_cancel, tasks)
    stack.push_async_callback(_stop, batches)
    for batch in batches:
        await batch.start(consuming)
        tasks.append(asyncio.create_task(batch.run()))
    await broker.start()
    return tasks


async def _stop(batches: Sequence[BatchConsumer]) -> None:
    """All at once: each may wait for what it has begun, and none ends because another could not take leave of the broker."""
    for outcome in await asyncio.gather(*(batch.stop() for batch in batches), return_exceptions=True):
        if outcome is not None:
            log.warning("an inbox did not stop in order", problem=repr(outcome)[:300])


async def _prepare(service: Service, stack: AsyncExitStack) -> None:
    for repository in service.repositories:
        await repository.pending.ensure_indexes()
        stack.push_async_callback(repository.pending.settled)
    if service.prepare is not None:
        await service.prepare()


def _leftovers(ground: Ground, service: Service) -> list[Sweep]:
    every = ground.settings.sweep_seconds
    return [Sweep(f"leftovers of {r.collection.name}", every, r.announce_leftovers) for r in service.repositories]


async def _until_stopped(server: uvicorn.Server, tasks: Sequence[asyncio.Task[None]], told: Callable[[], None]) -> None:
    """Ends on a signal, or when a background task dies: then the process must not pretend to live."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server._serve())  # without uvicorn's own signal handlers
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({serving, stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    told()
    server.should_exit = True
    await asyncio.wait({serving}, timeout=10)
    stopping.cancel()
    for task in done - {stopping, serving}:
        task.result()


def configured(settings: ServiceSettings, app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app, host=settings.http_host, port=settings.http_port, forwarded_allow_ips=settings.trusted_proxies,
        log_config=None, lifespan="off", timeout_graceful_shutdown=5,
    )  # fmt: skip


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
