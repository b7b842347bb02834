"""Enrols simulated agents by the hundred: their documents through the scheduler's own repository, which says `AgentEnrolled` as
always; their mailboxes, and one user who may speak for all of them, in one request to the broker."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx

from contracts.bus import Announcer
from contracts.topology import AGENTS, SCHEDULER
from infra.rabbitmq.definitions import password_hash
from services.chassis.clock import DatabaseClock
from services.chassis.doorkeeper import Doorkeeper
from services.chassis.repository import New
from services.chassis.service import Ground
from services.scheduler.app import Settings, Stores, stores
from services.scheduler.broker import definitions
from services.scheduler.domain import agent as agents
from tests.bench.swarm import Swarm
from tests.integration.world import World

TOGETHER = 250


async def a_swarm(world: World, number: int, owners: int = 10, image: str = "") -> Swarm:
    """Enrolled and not yet connected: `number` agents of lenders and one house agent, with the farm's image or this one."""
    names = [f"sim-{world.token}-{at}" for at in range(number)]
    house = f"house-{world.token}"
    user, secret = f"simulator-{world.token}", uuid4().hex
    world.forget_later(user)
    await asyncio.to_thread(_admit, world, [*names, house], user, secret)
    await _enrol(world, names, house, owners)
    keys = {"1": bytes.fromhex(world.farm["FARM_GRANT_KEY"])}
    url = world.farm.amqp_url(user, secret, world.vhost)
    return Swarm(url, [*names, house], keys, image or world.farm["FARM_RENDER_IMAGE"])


def _admit(world: World, names: Sequence[str], user: str, secret: str) -> None:
    """Every agent's mailbox as enrolment makes it; instead of a user each, one that may speak for all."""
    each = [definitions(name, uuid4().hex, world.vhost, world.shards) for name in names]
    hashed = {"password_hash": password_hash(user, secret), "hashing_algorithm": "rabbit_password_hashing_sha256"}
    may = {"configure": "^$", "write": rf"^{AGENTS.replace('.', '[.]')}$", "read": r"^agent\..*$"}
    document: dict[str, Any] = {
        "users": [{"name": user, "tags": "impersonator", **hashed}],
        "permissions": [{"user": user, "vhost": world.vhost, **may}],
        "queues": [queue for one in each for queue in one["queues"]],
        "bindings": [binding for one in each for binding in one["bindings"]],
    }
    url = f"{world.farm.http('RABBIT_MANAGEMENT')}/api/definitions"
    httpx.post(url, auth=world.farm.rabbit_admin, json=document, timeout=120, trust_env=False).raise_for_status()


async def _enrol(world: World, names: Sequence[str], house: str, owners: int) -> None:
    kept = await scheduler_stores(world)
    new = [New(name, *agents.enrolled(name, f"lender-{at % owners}", name, False)) for at, name in enumerate(names)]
    new.append(New(house, *agents.enrolled(house, "operator", house, True)))
    for at in range(0, len(new), TOGETHER):
        await kept.agents.store.add_many(new[at : at + TOGETHER])
    await kept.agents.store.pending.settled()


async def scheduler_stores(world: World) -> Stores:
    """The scheduler's own repositories on this world's database."""
    settings, database = Settings(**_settings(world)), world.database(SCHEDULER)
    connection = await world.connect(SCHEDULER, world.farm["FARM_SCHEDULER_AMQP_PASSWORD"])
    announcer = Announcer(connection, SCHEDULER)
    ground = Ground(SCHEDULER, settings, database, DatabaseClock(database), connection, announcer, Doorkeeper(SCHEDULER))
    return stores(ground, settings)


def _settings(world: World) -> dict[str, Any]:
    told = {**world.environment(SCHEDULER), "FRAMELEND_HTTP_PORT": "0"}
    return {name.removeprefix("FRAMELEND_").lower(): value for name, value in told.items() if name.startswith("FRAMELEND_")}
