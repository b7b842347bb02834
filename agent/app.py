"""One run of the agent: everything is wired here, lives as long as the process, and ends in order."""

import asyncio
import contextlib
import fcntl
import os
import signal
import stat
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from typing import Any

import httpx
import structlog
from aio_pika.abc import AbstractRobustConnection

from agent import logs, metrics, traces
from agent.bundle import BundleCache
from agent.container import EngineAway
from agent.control import open_line
from agent.desk import Desk
from agent.domain.address import danger
from agent.door import HOST, open_door
from agent.entrance import Entrance
from agent.keyring import Keyring
from agent.mailbox import Mailbox
from agent.opening import Premises, named, premises
from agent.outbox import Outbox
from agent.pacing import PacedTransport
from agent.settings import AgentSettings, Credential, UnusableCredential, read_credential
from agent.standing import Standing, health
from agent.status import STARTING, Status, early
from agent.storefront import Storefront
from agent.uploads import Uploader
from agent.workplace import Background, Folders, Workplace
from agent.yielding import ByHand, Yielding
from contracts.bus import Announcer

log = structlog.get_logger()

FLUSH_SECONDS = 5.0
LOST_EVERYTHING = 70
"""Exit code when a loop that must not end has ended."""


class AlreadyRunning(Exception):
    """Another process uses this agent's folder."""


async def run(settings: AgentSettings) -> int:
    """Until SIGTERM, SIGINT or SIGHUP; the exit code. Raises UnusableCredential, UnusableSettings, AlreadyRunning."""
    credential = read_credential(settings.agent_file)
    if why := danger(credential.amqp_url.get_secret_value(), settings.agent_plain_broker):
        raise UnusableCredential(why)
    settings = settings.model_copy(update={"agent_image": settings.agent_image or credential.image})
    os.umask(0o022)
    logs.configure(credential.agent, settings.log_level)
    provider = traces.configure(credential.agent, settings.otlp_url)
    metrics.CPUS.set(settings.agent_cpus)
    with named("FRAMELEND_AGENT_DIR", settings.agent_dir):
        folders = Folders(settings.agent_dir)
    with _alone(folders):
        try:
            return await _live(settings, credential, folders)
        finally:
            await asyncio.to_thread(provider.shutdown)


@contextlib.contextmanager
def _alone(folders: Folders) -> Iterator[None]:
    with named("FRAMELEND_AGENT_DIR", folders.root):
        lock = (folders.root / "lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"{folders.root} is in use by another agent process") from None
        with named("FRAMELEND_AGENT_DIR", folders.root):
            folders.clear()
        yield


def _hung_up(stopping: asyncio.Event) -> None:
    """A closed terminal ends it like an order, or a frozen container would keep its memory with nobody to thaw it. What is said
    from now on must not break that off: nobody listens."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for spoken in (1, 2):
        if stat.S_ISCHR(os.fstat(spoken).st_mode):
            os.dup2(nowhere, spoken)
    os.close(nowhere)
    stopping.set()


async def _live(settings: AgentSettings, credential: Credential, folders: Folders) -> int:
    stopping = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stopping.set)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # it was not told to outlive its terminal (nohup)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _hung_up, stopping)
    state: dict[str, Standing] = {}
    entrance = Entrance(Keyring(settings.agent_file))

    def wrong() -> list[str]:
        shut = entrance.shut()
        return health(state["now"], shut) if state else [shut or STARTING]

    with named("FRAMELEND_AGENT_HTTP_PORT", settings.agent_http_port):
        door = open_door(settings.agent_http_port, wrong)
    at = f"http://{HOST}:{door.server_port}"
    log.info("health and metrics are told", at=at)
    told, by_hand = list[Status](), ByHand.of(folders)

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        said = told[0].answer(asked) if told else early(asked, credential.agent, entrance.shut(), by_hand)
        return {**said, "health": f"{at}/health", "metrics": f"{at}/metrics"}

    line = await open_line(folders.root, answer)
    try:
        async with premises(settings, credential, folders) as own:
            connecting = asyncio.create_task(entrance.enter())
            stopped = asyncio.create_task(stopping.wait())
            await asyncio.wait((connecting, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                connecting.cancel()
                return 0
            return await _work(own, entrance, connecting.result(), stopping, state, told, by_hand)
    finally:
        line.close()
        door.shutdown()
        door.server_close()
        if entrance.connection is not None:
            await entrance.connection.close()


async def _work(
    own: Premises,
    entrance: Entrance,
    connection: AbstractRobustConnection,
    stopping: asyncio.Event,
    state: dict[str, Standing],
    told: list[Status],
    by_hand: ByHand,
) -> int:
    async with _place(own, connection) as place:
        desk = Desk(place)
        await _tidy(place, desk)
        standing = state["now"] = Standing(place, desk, place.journal.new_run(), version("framelend-farm"))
        yielding = Yielding(place, desk, by_hand)
        told.append(Status(place, desk, standing, yielding, entrance.shut))
        connection.reconnect_callbacks.add(desk.back_at_the_broker)
        loops = [
            asyncio.create_task(loop, name=name)
            for name, loop in (
                ("attempts", _until_broken(place.background)),
                ("outbox", place.outbox.run()),
                ("desk", desk.run()),
                ("engine", standing.look_after_engine()),
                ("ready", standing.tell_ready()),
                ("pulse", standing.pulse()),
                ("yielding", yielding.run()),
                ("secret", entrance.follow(connection)),
                ("mailbox", _until_not_taken(Mailbox(connection, place.agent, desk.take))),
            )
        ]
        ordered = place.background.start(_stop_when_told(desk, stopping), "orders")
        code = await _until_stopped(loops, stopping)
        ordered.cancel()
        await _stop(place, desk, standing, loops)
        return code


@contextlib.asynccontextmanager
async def _place(own: Premises, connection: AbstractRobustConnection) -> AsyncIterator[Workplace]:
    settings, folders, announcer = own.settings, own.folders, Announcer(connection, own.credential.agent)
    async with _transfers(settings) as http:
        yield Workplace(
            agent=own.credential.agent,
            settings=settings,
            folders=folders,
            engine=own.engine,
            cache=BundleCache(folders.cache, settings.agent_cache_bytes, settings.agent_keep_free_bytes),
            journal=own.journal,
            outbox=Outbox(own.journal, announcer),
            announcer=announcer,
            http=http,
            uploader=Uploader(http),
            slots=asyncio.Semaphore(settings.agent_slots),
            background=Background(),
        )


def _transfers(settings: AgentSettings) -> httpx.AsyncClient:
    """To and from the store, within what the lender allows of his line."""
    under = httpx.AsyncHTTPTransport(trust_env=False)
    paced = PacedTransport(under, settings.agent_upload_bytes_per_second, settings.agent_download_bytes_per_second)
    seen = {"response": [Storefront(settings.agent_dir).seen]}
    return httpx.AsyncClient(timeout=httpx.Timeout(30, connect=5), trust_env=False, transport=paced, event_hooks=seen)


async def _tidy(place: Workplace, desk: Desk) -> None:
    """What a crash has left: containers go, finished frames are taken up."""
    try:
        removed = await place.engine.sweep(frozenset)
    except EngineAway as away:
        log.warning("leftover containers not looked for yet", why=str(away))
        removed = 0
    taken_up = desk.recover()
    log.info("agent starts", containers_removed=removed, attempts_taken_up=taken_up)


async def _until_not_taken(mailbox: Mailbox) -> None:
    """Until a message could not be taken."""
    await mailbox.open()
    await mailbox.broken.wait()


async def _stop_when_told(desk: Desk, stopping: asyncio.Event) -> None:
    await desk.told_to_stop.wait()
    stopping.set()


async def _until_broken(background: Background) -> None:
    """Until a task of an attempt has failed."""
    await background.broken.wait()


async def _until_stopped(loops: list["asyncio.Task[None]"], stopping: asyncio.Event) -> int:
    stopped = asyncio.create_task(stopping.wait())
    ended, _ = await asyncio.wait((*loops, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for loop in ended - {stopped}:
        log.error("a loop has ended", loop=loop.get_name(), exc_info=loop.exception())
    return 0 if stopping.is_set() else LOST_EVERYTHING


async def _stop(place: Workplace, desk: Desk, standing: Standing, loops: list["asyncio.Task[None]"]) -> None:
    """No more work is taken, containers stop, unfinished chunks are given back, what is to be told gets some seconds more."""
    log.info("agent stops")
    desk.stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(standing.take_leave(), FLUSH_SECONDS)
    place.outbox.nudge()
    await place.background.finish(FLUSH_SECONDS)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(place.outbox.drained(), FLUSH_SECONDS)
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
