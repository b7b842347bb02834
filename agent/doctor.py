"""Looks whether this machine can work for the farm, and says how to mend what is wrong. Changes nothing."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
from aio_pika import Connection
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import AMQPError, AuthenticationError, ChannelClosed, ProbableAuthenticationError
from yarl import URL

from agent.bundle import kept_bytes
from agent.container import Engine, EngineAway
from agent.domain.admission import MIN_MEMORY_BYTES
from agent.lender import UnusableSettings
from agent.lockdown import Spec
from agent.process import GIVES_UP, bare, shared_user
from agent.settings import AgentSettings, Credential, UnusableCredential, read_credential
from agent.storefront import Storefront, Unanswered, ahead
from agent.workplace import CACHE
from contracts.bus import new_id
from contracts.topology import mailbox

OLDEST_DOCKER = (20, 10)
MOST_SKEW_SECONDS = 120.0
"""Signed addresses are good for minutes; the farm never believes this clock, but logs and the owner do."""
LEAST_DISK_BYTES = 5_000_000_000
PATIENCE_SECONDS = 20.0
HELLO = ("python3", "-c", "import time; print('hello', flush=True); time.sleep(60)")


@dataclass(frozen=True)
class Finding:
    """`ok` None: nothing to say for or against. `mend`: what to do about it."""

    what: str
    ok: bool | None
    text: str
    mend: str = ""

    @property
    def is_bad(self) -> bool:
        return self.ok is False

    def told(self) -> dict[str, Any]:
        return asdict(self)


def line(found: Finding) -> str:
    mark = {True: "ok ", False: "BAD", None: "-  "}[found.ok]
    return f"{mark} {found.what}: {found.text}" + (f"\n      {found.mend}" if found.mend and not found.ok else "")


async def examined(settings: AgentSettings) -> list[Finding]:
    """Every look, in the order in which a machine is set up."""
    agreed = settings.model_copy(update={"agent_image": settings.agent_image or _agreed_image(settings)})
    found = await (_bare if settings.agent_executor == "process" else _sandbox)(agreed)
    found += [_disk(settings), _memory(settings), _rules(settings)]
    return [*found, *await _farm(settings)]


def _agreed_image(settings: AgentSettings) -> str | None:
    """The one that the farm named at enrolment."""
    try:
        return read_credential(settings.agent_file).image
    except UnusableCredential:
        return None


async def _bare(settings: AgentSettings) -> list[Finding]:
    """Chunks as processes: everything that this needs, and what it gives up."""
    image = [_no_image()] if settings.agent_image is None else []
    try:
        await bare(settings)
    except UnusableSettings as why:
        mend = "Without FRAMELEND_AGENT_EXECUTOR chunks run in locked containers of Docker."
        return [Finding("executor", False, str(why), mend), *image]
    return [Finding("executor", None, f"process, WITHOUT A SANDBOX: {GIVES_UP}"), *image]


async def _sandbox(settings: AgentSettings) -> list[Finding]:
    engine = Engine("doctor")
    try:
        docker = await _docker(engine)
        if not docker.ok:
            return [docker]
        looks = [
            _user(),
            await _image(engine, settings),
            await _limits(engine),
            await _container(engine, settings),
            await _gpu(engine, settings),
        ]
        return [docker, *looks]
    finally:
        engine.close()


async def _docker(engine: Engine) -> Finding:
    try:
        version = str((await engine.call(lambda: engine.api.version()))["Version"])
    except EngineAway as away:
        mend = "Install Docker, start it (systemctl enable --now docker), and let this user use it: usermod -aG docker USER"
        return Finding("Docker", False, f"does not answer: {away}", f"{mend}, then log in again; or set DOCKER_HOST.")
    new = tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) >= OLDEST_DOCKER
    return Finding("Docker", new, f"version {version}", "" if new else "Install version 20.10 or newer.")


def _user() -> Finding:
    wrong = shared_user(os.geteuid())
    return Finding("user", wrong is None, wrong or "another one than render containers have", "In Docker: leave --user out.")


async def _image(engine: Engine, settings: AgentSettings) -> Finding:
    image = settings.agent_image
    if image is None:
        return _no_image()
    here = await engine.has(image)
    return Finding(
        "render image",
        here,
        f"{image[:19]}… is {'here' if here else 'not here'}",
        "The farm's operator hands it out as a file (docker save): docker load -i FILE. One built here has another id.",
    )


def _no_image() -> Finding:
    return Finding("render image", False, "none was agreed to", "Set FRAMELEND_AGENT_IMAGE to the digest the farm names.")


async def _limits(engine: Engine) -> Finding:
    """What the kernel and Docker must be able to bound."""
    missing = await engine.lacking()
    if not missing:
        return Finding("limits", True, "memory, swap, cores, processes and system calls can be bounded")
    mend = "Start the kernel with cgroup_enable=memory swapaccount=1, and Docker with its default seccomp profile."
    return Finding("limits", False, f"cannot bound {', '.join(missing)}", mend)


async def _container(engine: Engine, settings: AgentSettings) -> Finding:
    """One with every lock on, frozen and let go: all that a chunk will need."""
    image = settings.agent_image
    if image is None or not await engine.has(image):
        return Finding("container", None, "not tried without the render image")
    try:
        said = await asyncio.wait_for(_hello(engine, image, settings), PATIENCE_SECONDS)
    except (EngineAway, TimeoutError) as wrong:
        mend = "See `journalctl -u docker`; rootless Docker and some virtual machines cannot keep every lock."
        return Finding("container", False, f"does not run: {wrong or 'no answer'}", mend)
    return Finding(
        "container", said == b"hello", "runs with every lock, can be frozen and let go", "The image is broken: load it again."
    )


async def _hello(engine: Engine, image: str, settings: AgentSettings) -> bytes | None:
    spec = Spec(image, HELLO, "doctor", f"doctor-{new_id()}", settings.slot_cpus, MIN_MEMORY_BYTES)
    running = await engine.start(spec)
    try:
        said = await running.line()
        await running.hold(frozen=True)
        await running.hold(frozen=False)
        return said
    finally:
        await running.remove()


async def _gpu(engine: Engine, settings: AgentSettings) -> Finding:
    if shutil.which("nvidia-smi") is None:
        return Finding("GPU", None, "no NVIDIA driver; renders on the CPU")
    info = await engine.call(lambda: engine.api.info())
    image, can = settings.agent_gpu_image, "containers can use it"
    if "nvidia" not in info.get("Runtimes", {}):
        mend = "Install nvidia-container-toolkit, run `nvidia-ctk runtime configure --runtime=docker`, start Docker again."
        return Finding("GPU", False, "there, but Docker has no nvidia runtime", mend)
    if image is None:
        mend = "To lend it load the image with GPU kernels that the farm's operator hands out, and set FRAMELEND_AGENT_GPU_IMAGE."
        return Finding("GPU", None, f"{can}, but it is not lent: no render image for it was agreed to", mend)
    if not await engine.has(image):
        mend = "The farm's operator hands it out as a file (docker save): docker load -i FILE."
        return Finding("GPU", False, f"{can}, but its render image {image[:19]}… is not here", mend)
    if settings.agent_gpus == ():
        return Finding("GPU", None, f"{can}, but its owner lends none", "See [limits] gpus in agent.toml.")
    return Finding("GPU", True, f"{can}, and its render image is here; `framelend-agent status` says what is lent")


def _disk(settings: AgentSettings) -> Finding:
    try:
        settings.agent_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = kept_bytes(settings.agent_dir / CACHE)
        free = shutil.disk_usage(settings.agent_dir).free + kept - settings.agent_keep_free_bytes
    except OSError as wrong:
        mend = "Set FRAMELEND_AGENT_DIR to a folder that this user may make and write."
        return Finding("disk", False, f"{settings.agent_dir} cannot be used: {wrong.strerror or wrong}", mend)
    text = f"{max(0, free) / 1e9:.1f} GB may be used in {settings.agent_dir}"
    text += f", {kept / 1e9:.1f} GB of it by scenes that are kept for later" if kept else ""
    return Finding(
        "disk", free >= LEAST_DISK_BYTES, text, "Free some, or set FRAMELEND_AGENT_DIR to another disk; 5 GB are needed."
    )


def _memory(settings: AgentSettings) -> Finding:
    total, lent = psutil.virtual_memory().total, settings.agent_memory_bytes
    text = f"{lent / 1e9:.1f} GB of {total / 1e9:.1f} GB are lent"
    good = lent <= total and settings.slot_memory_bytes >= 2 * MIN_MEMORY_BYTES
    return Finding("memory", good, text, "Lend at most what there is, and at least 2 GB a slot: [limits] memory_gb, slots.")


def _rules(settings: AgentSettings) -> Finding:
    rules = settings.rules
    any_rule = (
        rules.hours or rules.programs or rules.idle_seconds or rules.load_cores or rules.hot_celsius or not rules.on_battery
    )
    text = "pauses by your rules; `framelend-agent status` says which cannot be kept" if any_rule else "lent at all times"
    return Finding(
        "rules", True if any_rule else None, text, "For a machine you use yourself see `framelend-agent example-settings`."
    )


async def _farm(settings: AgentSettings) -> list[Finding]:
    try:
        credential = read_credential(settings.agent_file)
    except UnusableCredential as unusable:
        return [Finding("enrolment", False, str(unusable), "framelend-agent enrol CODE")]
    return [
        Finding("enrolment", True, f"this machine is {credential.agent}"),
        await _door(credential),
        await _within(_broker, credential),
        await _store(settings),
    ]


async def _within(look: Callable[[Credential], Awaitable[Finding]], credential: Credential) -> Finding:
    try:
        return await asyncio.wait_for(look(credential), PATIENCE_SECONDS)
    except TimeoutError:
        return Finding("broker", False, "does not answer in time", "Is a firewall in the way?")


async def _broker(credential: Credential) -> Finding:
    """Let in, and the mailbox is there."""
    connection: AbstractConnection = Connection(URL(credential.amqp_url.get_secret_value()))
    try:
        await connection.connect(timeout=PATIENCE_SECONDS)
        channel = await connection.channel()
        await channel.get_queue(mailbox(credential.agent), ensure=True)
    except (AuthenticationError, ProbableAuthenticationError):
        mend = (
            "`framelend agents` says whether it was revoked or is in quarantine; if neither, its secret is old: enrol it again."
        )
        return Finding("broker", False, "refuses this machine", mend)
    except ChannelClosed:
        return Finding("broker", False, "lets this machine in, but has no mailbox for it", "Enrol it again.")
    except (AMQPError, OSError, RuntimeError, TimeoutError) as away:
        return Finding(
            "broker", False, f"cannot be reached: {type(away).__name__}", "Is the network up, and a firewall in the way?"
        )
    finally:
        with contextlib.suppress(AMQPError, OSError):
            await connection.close()
    return Finding("broker", True, "lets this machine in, and its mailbox is there")


async def _door(credential: Credential) -> Finding:
    """The farm's own door: it is known from the first day on."""
    if credential.farm is None:
        return Finding("farm and clock", None, "the operator enrolled this machine; the farm's address is not known here")
    return await _clock("farm and clock", credential.farm, "/health")


async def _store(settings: AgentSettings) -> Finding:
    front = Storefront(settings.agent_dir)
    if front.origin is None:
        return Finding("store and clock", None, "where it is, the farm tells with the first chunk; look again then")
    return await _clock("store and clock", front.origin, "/")


async def _clock(what: str, origin: str, path: str) -> Finding:
    """That somebody answers there, and what his clock says of ours."""
    try:
        seconds = await ahead(origin + path)
    except Unanswered as why:
        mend = (
            f"Is the network up, and a firewall in the way? Is this clock right? It says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
        )
        return Finding(what, False, f"{origin} cannot be reached: {why}", mend)
    text = f"{origin} answers; this clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} its own"
    mend = "Set the clock: timedatectl set-ntp true; of a virtual machine set the host's, too."
    return Finding(what, abs(seconds) <= MOST_SKEW_SECONDS, text, mend)
