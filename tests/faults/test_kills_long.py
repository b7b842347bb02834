"""The longer form of test_kills: more moments, and the two moments inside save-and-tell for every service."""

import asyncio
import random
from decimal import Decimal
from email.message import Message
from pathlib import Path
from uuid import uuid4

import pytest
from framelend import Client

from contracts.events import ChunkAssigned, CreditsOrdered, Event, FramesStored, HoldRefused, JobCharged
from contracts.topology import SERVICES
from tests.farm.renting import settled
from tests.faults.afterwards import all_is_well, mails
from tests.faults.stage import INFRASTRUCTURE, Stage
from tests.faults.wire import Way
from tests.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_800)]
FRAMES = range(1, 97)
SAYS: dict[str, type[Event]] = {"scheduler": ChunkAssigned, "storage": FramesStored, "billing": JobCharged}
"""What each says again and again while a job is rendered."""
LATEST_SECONDS = 4.0


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_part_dies_at_a_seeded_moment_in_a_seeded_order(stage: Stage, scenes: Path, seed: int) -> None:
    moments = random.Random(seed)
    victims = [*SERVICES, stage.lent[seed % 2], *INFRASTRUCTURE]
    moments.shuffle(victims)
    await stage.rent(scenes / "bench_1s", f"{FRAMES[0]}-{FRAMES[-1]}")
    for victim in victims:
        await asyncio.sleep(moments.uniform(0, LATEST_SECONDS))
        await stage.kill(victim)
    await _ends_well(stage, kills=len(victims))


async def test_every_service_dies_between_save_and_announce_and_between_announce_and_ack(stage: Stage, scenes: Path) -> None:
    await stage.rent(scenes / "bench_1s", f"{FRAMES[0]}-{FRAMES[-1]}")
    for service, event in SAYS.items():
        await stage.kill_between_save_and_announce(service, event)
        await stage.kill_between_announce_and_ack(service, event)
    await _intake_dies_over_an_order(stage)
    await stage.kill_while_a_letter(Way.SAID, _a_refusal(stage, 8))
    await stage.kill_while_a_letter(Way.ANSWERED, _a_refusal(stage, 9))
    await until(lambda: len(_refusals(stage)) >= 3, "both letters arrive, the second one twice", 60)
    await _ends_well(stage, kills=2 * len(SERVICES))
    assert len({letter["Message-ID"] for letter in _refusals(stage)}) == 2, "a letter sent again is the same letter"


async def _intake_dies_over_an_order(stage: Stage) -> None:
    """What a client repeats under its key after the crash happens once."""
    keys = [uuid4().hex, uuid4().hex]
    await stage.kill_between_save_and_announce("intake", CreditsOrdered, lambda: _order(stage, keys[0]))
    await stage.kill_between_announce_and_ack("intake", CreditsOrdered, lambda: _order(stage, keys[1]))
    before = await asyncio.to_thread(_available, stage)
    for key in keys:
        await asyncio.to_thread(_order, stage, key)
    orders = stage.ear.said(CreditsOrdered, account=stage.renter.id, amount_micro=1_000_000)
    assert len(orders) == len(keys)
    assert await asyncio.to_thread(_available, stage) == before


def _order(stage: Stage, key: str) -> None:
    with Client(stage.farm.url, stage.farm.operator, patience=0.1) as operator:
        operator.issue_credits(stage.renter.id, 1, key)


def _available(stage: Stage) -> Decimal:
    with stage.farm.client(stage.renter) as client:
        return client.account().balances.available


def _a_refusal(stage: Stage, version: int) -> HoldRefused:
    """Concerns no open quote, so that nothing but a letter follows."""
    about = {"job": stage.job, "account": stage.renter.id, "version": version}
    return HoldRefused.model_validate({**about, "needed_micro": version, "available_micro": 0, "text": f"letter {version}"})


def _refusals(stage: Stage) -> list[Message]:
    return [mail for mail in mails(stage) if "letter " in mail.as_string()]


async def _ends_well(stage: Stage, kills: int) -> None:
    job = await settled(stage.farm, stage.renter, stage.job, seconds=900)
    assert job.state == "completed", job.reason
    assert len(stage.kills) == kills
    await all_is_well(stage, set(FRAMES))
