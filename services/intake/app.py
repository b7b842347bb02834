"""Wiring of intake: settings, repositories, inboxes and the HTTP door in one process."""

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from contracts.events import Event
from contracts.values import Digest
from services.chassis.database import reached
from services.chassis.repository import SavedThenTold
from services.chassis.service import Ground, Service
from services.chassis.settings import ServiceSettings
from services.chassis.sweeps import Sweep
from services.intake.domain.accounts import Account, Order, Role, key_hash
from services.intake.domain.agents import Agent
from services.intake.domain.codes import Lender, Terms
from services.intake.domain.farm import Farm
from services.intake.domain.frames import Bucket
from services.intake.domain.jobs import Job
from services.intake.domain.offers import Offer
from services.intake.domain.rates import Rate
from services.intake.domain.uploads import Upload
from services.intake.handlers import routes
from services.intake.http.addresses import Addresses
from services.intake.http.desk import Desk, Limiter
from services.intake.http.door import application
from services.intake.http.guard import Guard
from services.intake.repository.accounts import Accounts, Balances
from services.intake.repository.answers import Answers, page_key
from services.intake.repository.bell import Bell
from services.intake.repository.codes import Codes
from services.intake.repository.farm import Farms
from services.intake.repository.frames import Frames
from services.intake.repository.jobs import Jobs
from services.intake.repository.lenders import Agents, Earnings
from services.intake.repository.memory import Memory
from services.intake.repository.offers import Offers
from services.intake.repository.resources import Samples
from services.intake.repository.timeline import Timeline
from services.intake.repository.uploads import Uploads


class Settings(ServiceSettings):
    operator_key: SecretStr
    """API key of the operator's account; at least 32 characters, random."""
    operator_email: str = "operator@framelend.example"
    webhook_key: SecretStr
    """Hexadecimal; the same as notifier's. Every account's webhook secret follows from it."""
    store_origin: str = ""
    """Scheme, host and port of the addresses storage signs: the job page may show pictures from there and nowhere else."""
    broker_url: str = ""
    """The broker as agents reach it: amqps://HOST:PORT/VHOST. Empty: no machine comes in by a lender's code."""
    broker_authority: Path | None = None
    """PEM of the certificate authority that vouches for it, given to new machines; None when every machine knows it."""
    render_image: Digest | None = None
    """The image that the farm's work names, told to new machines."""
    code_seconds: int = 900
    """How long a one-time code is good."""
    requests_per_second: float = 50
    requests_burst: float = 200


async def build(ground: Ground) -> Service:
    settings = ground.settings
    assert isinstance(settings, Settings)
    memory = _memory(ground)

    async def prepare() -> None:
        await memory.ensure_indexes()
        await memory.accounts.ensure_operator(_operator(settings, await ground.clock.now()))

    desk = await _desk(ground, settings, memory)
    accounts = memory.accounts
    return Service(
        inboxes=routes(memory, ground.doorkeeper),
        repositories=[accounts.saved, accounts.orders, memory.uploads.saved, memory.jobs.saved, *_others(memory)],
        prepare=prepare,
        http=Guard(application(desk), lambda: reached(ground.database)),
        stopping=memory.bell.silence,
        sweeps=[Sweep("farm", 2, memory.farm.get)],
        notes=memory.farm.notes,
        shut_out=memory.agents.shut_out,
    )


def _others(memory: Memory) -> list[SavedThenTold[Any]]:
    return [memory.farm.saved, memory.codes.saved, memory.agents.saved, memory.offers.saved]


def _memory(ground: Ground) -> Memory:
    database = ground.database
    return Memory(
        accounts=Accounts(ground.repository("accounts", Account), ground.repository("orders", Order)),
        balances=Balances(database["balances"]),
        uploads=Uploads(ground.repository("uploads", Upload)),
        jobs=Jobs(ground.repository("jobs", Job)),
        frames=Frames(ground.repository("frames", Bucket)),
        timeline=Timeline(database["timeline"], ground.clock),
        agents=Agents(ground.repository("agents", Agent)),
        codes=Codes(ground.repository("codes", Lender)),
        offers=Offers(ground.repository("offers", Offer)),
        earnings=Earnings(database["earnings"]),
        farm=Farms(ground.repository("farm", Farm)),
        samples=Samples(database["samples"], ground.clock),
        answers=Answers(database["answers"], ground.clock),
        bell=Bell(),
    )


async def _desk(ground: Ground, settings: Settings, memory: Memory) -> Desk:
    async def say(event: Event) -> None:
        await ground.say(event)

    return Desk(
        memory=memory,
        clock=ground.clock,
        say=say,
        addresses=Addresses(memory.answers, memory.bell, ground.clock, say),
        page_key=await page_key(ground.database["keys"], secrets.token_bytes(32)),
        webhook_key=bytes.fromhex(settings.webhook_key.get_secret_value()),
        accounts_rate=Limiter(Rate(settings.requests_per_second, settings.requests_burst)),
        store_origin=settings.store_origin,
        terms=_terms(settings),
    )


def _terms(settings: Settings) -> Terms:
    """Raises OSError when the authority's file cannot be read: better now than at the first machine."""
    return Terms(
        broker=settings.broker_url,
        authority=settings.broker_authority.read_text() if settings.broker_authority else "",
        image=settings.render_image or "",
        life=timedelta(seconds=settings.code_seconds),
    )


def _operator(settings: Settings, now: Any) -> Account:
    hashed = key_hash(settings.operator_key.get_secret_value())
    return Account("Operator", settings.operator_email, (Role.OPERATOR,), (hashed,), now)
