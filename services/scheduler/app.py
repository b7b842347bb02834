"""Wires the scheduler: settings, repositories, handlers, sweeps."""

from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from contracts.shards import Shard, shard_named
from services.chassis.service import Ground, Service
from services.chassis.settings import ServiceSettings
from services.chassis.sweeps import Sweep
from services.scheduler.broker import Broker
from services.scheduler.choosing import Choosing
from services.scheduler.closing import Closing
from services.scheduler.desk import Desk
from services.scheduler.dispatch import Dispatch
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.choosing import Choice
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.farm import Farm
from services.scheduler.domain.job import Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.quotes import Quote
from services.scheduler.domain.verification import Storage
from services.scheduler.gate import Gate
from services.scheduler.halting import Halting
from services.scheduler.handlers import routes
from services.scheduler.learning import Learning
from services.scheduler.leases import Hearing
from services.scheduler.progress import Progress
from services.scheduler.quarantine import Quarantine
from services.scheduler.quoting import Quoting
from services.scheduler.repository import Agents, Choices, Chunks, Farms, Jobs, Quotes, Standing, Storages
from services.scheduler.signing import Signing
from services.scheduler.sweeps import sweeps
from services.scheduler.traffic import Traffic

MOST_REMEMBERED, MOST_JOBS = 10_000, 3_000
"""Documents of each kind; beyond that they are read again. An agent takes 3 KB, a chunk 2, a job 13 and more."""


class Settings(ServiceSettings):
    grant_key: SecretStr
    """32 bytes in hex; storage has the same."""
    render_image: str
    """Digest of the image that assignments name; agents without it get no work."""
    render_gpu_image: str = ""
    """Digest of the one that keeps the GPU kernels; without it nothing is rendered on GPUs."""
    management_url: str = ""
    management_user: str = ""
    management_password: SecretStr = SecretStr("")
    chunk_seconds: int = 60
    chunk_frames: int = 200
    samples: int = 5
    """Frames rendered to make a quote; one is enough where all frames cost the same."""
    sample_budget_seconds: int = 120
    copy_percent: int = 5
    """Of a job's work that copies of its slowest chunks may be worth; 0 makes none."""
    drift_percent: int = 50
    """So much more than quoted must what is left of a job be likely to take before its renter is asked anew."""
    lease_seconds: int = 30
    settle_seconds: int = 15
    shard: str = "1/1"
    """Whose words this process takes: `2/3` those of the second of three shards (decision 0036), as many as the broker's topology
    has."""
    quarantine_seconds: int = 1800
    """How long an agent that fails different renters' jobs gets nothing, the first time."""

    def policy(self) -> Policy:
        return Policy(
            image=self.render_image,
            chunk=self.chunk_seconds,
            chunk_frames=self.chunk_frames,
            samples=self.samples,
            sample_budget=self.sample_budget_seconds,
            copy_percent=self.copy_percent,
            drift_least_percent=self.drift_percent,
            lease=self.lease_seconds,
            settle=self.settle_seconds,
            quarantine=self.quarantine_seconds,
        )

    def part(self) -> Shard:
        return shard_named(self.shard)

    def broker(self, vhost: str = "") -> Broker:
        """With the credential of the broker's management, which no other service has; of this service's virtual host unless
        another is named."""
        own = unquote(urlsplit(self.amqp_url.get_secret_value()).path.removeprefix("/")) or "/"
        secret, shards = self.management_password.get_secret_value(), self.part().of
        return Broker(self.management_url, self.management_user, secret, vhost or own, shards=shards)

    def keys(self) -> dict[str, bytes]:
        """Grant keys by their id."""
        return {"1": bytes.fromhex(self.grant_key.get_secret_value())}


@dataclass(frozen=True)
class Stores:
    jobs: Jobs
    chunks: Chunks
    agents: Agents
    farms: Farms
    choices: Choices
    quotes: Quotes
    storages: Storages

    async def prepare(self) -> None:
        for store in (self.jobs, self.chunks, self.agents, self.choices, self.quotes):
            await store.ensure_indexes()


def stores(ground: Ground, settings: Settings) -> Stores:
    agents = Agents(ground.repository("agents", Agent, remembers=MOST_REMEMBERED))
    standing = Standing(ground.database["chunks"])
    signing = Signing(settings.keys(), standing.holds, agents.is_revoked)
    chunks = Chunks(ground.repository("chunks", Chunk, signing.finish, remembers=MOST_REMEMBERED))
    jobs = Jobs(ground.repository("jobs", Job, remembers=MOST_JOBS))
    farms, choices = Farms(ground.repository("farm", Farm)), Choices(ground.repository("choices", Choice))
    quotes, storages = Quotes(ground.repository("quotes", Quote)), Storages(ground.repository("storage", Storage))
    return Stores(jobs, chunks, agents, farms, choices, quotes, storages)


def desk(ground: Ground, settings: Settings, kept: Stores) -> Desk:
    jobs, chunks, agents = kept.jobs, kept.chunks, kept.agents
    policy = settings.policy()
    image, gpu_image, shard = settings.render_image, settings.render_gpu_image, settings.part()
    dispatch = Dispatch(jobs, chunks, agents, policy, image, gpu_image=gpu_image, shard=shard)
    return Desk(
        jobs=jobs,
        chunks=chunks,
        agents=agents,
        dispatch=dispatch,
        closing=Closing(jobs, chunks, dispatch),
        learning=Learning(jobs, agents),
        quoting=Quoting(jobs, agents, kept.quotes, policy, dispatch),
        progress=Progress(jobs, chunks, agents, ground.say, shard),
        policy=policy,
        keys=settings.keys(),
        say=ground.say,
        now=ground.clock.now,
        storages=kept.storages,
        shard=shard,
    )


async def build(ground: Ground) -> Service:
    assert isinstance(ground.settings, Settings)
    kept = stores(ground, ground.settings)
    work = desk(ground, ground.settings, kept)
    broker = ground.settings.broker()
    gate = Gate(kept.agents, kept.chunks, broker)
    halting = Halting(kept.farms, kept.agents, kept.chunks, work.dispatch, ground.say)
    work = replace(work, remind=halting.tell)
    quarantine = Quarantine(work, gate, ground.doorkeeper)
    traffic = Traffic(work, broker, quarantine)
    choosing = Choosing(work, kept.choices)

    async def close() -> None:
        broker.close()

    async def prepare() -> None:
        await kept.prepare()
        await halting.sweep()

    hearing = Hearing(ground.connection.connected.is_set)
    return Service(
        inboxes=routes(work, gate, quarantine, halting, choosing),
        repositories=(
            kept.jobs.store,
            kept.chunks.store,
            kept.agents.store,
            kept.farms.store,
            kept.choices.store,
            kept.quotes.store,
            kept.storages.store,
        ),
        sweeps=[*sweeps(work, hearing, gate, quarantine, traffic, choosing), Sweep("farm", 1, halting.sweep)],
        prepare=prepare,
        notes=halting.notes,
        closing=(close,),
        shut_out=kept.agents.unheard,
        misconduct=lambda seen: quarantine.put(seen.agent, seen.offence, seen.count),
    )
