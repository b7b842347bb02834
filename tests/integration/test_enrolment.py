"""How a stranger's machine comes to the farm, changes its secret, and goes: by what a lender types, on real components."""

import asyncio
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from contracts.events import (
    AgentChanged,
    AgentEnrolled,
    AgentReady,
    AgentRevoked,
    CompletedFrame,
    EnrolmentRequested,
    FramesCompleted,
)
from contracts.grants import Grant
from contracts.topology import AGENT_LIMITS, AGENTS, INTAKE, SCHEDULER, agent_permissions, mailbox
from contracts.values import FrameRange, Kind, Picture
from services.intake.domain.codes import agent_of, code_hash
from tests.integration.intake_stage import Person
from tests.integration.lending_stage import IMAGE, Lending, Machine, a_ready, machine, permissions_at, the_lending  # noqa: F401
from tests.waiting import until


@pytest_asyncio.fixture(name="lena", scope="module", loop_scope="session")
async def the_lender(lending: Lending) -> Person:
    return await lending.a_person("lender")


@pytest_asyncio.fixture(name="laptop", scope="module", loop_scope="session")
async def the_laptop(lending: Lending, lena: Person) -> Machine:
    return await lending.a_machine(lena)


async def test_two_commands_make_a_stranger_a_lender(lending: Lending, lena: Person, tmp_path: Path) -> None:
    shown = await lending.framelend(lena, "agents", "code")
    command = re.search(r"framelend-agent enrol (\S+) --farm (\S+)", shown.said)
    assert command is not None, shown.said
    assert command[2] == lending.url
    done = await lending.enrol(command[1], tmp_path)
    found = Machine(tmp_path)
    lending.world.forget_later(found.id)
    assert (done.code, "framelend-agent run" in done.said) == (0, True), done.said
    enrolled = await lending.world.hear(AgentEnrolled, agent=found.id)
    assert (enrolled.owner, enrolled.name, enrolled.house) == (lena.id, "laptop", False)
    assert stat.S_IMODE(found.file.stat().st_mode) == 0o600
    assert found.credential["image"] == IMAGE
    assert not await lending.world.refuses(found.id, found.secret)
    assert found.id in (await lending.framelend(lena, "agents", "list")).said


async def test_it_may_do_exactly_what_an_agent_may(lending: Lending, laptop: Machine) -> None:
    may = agent_permissions(laptop.id)
    known = await asyncio.to_thread(permissions_at, lending, laptop.id)
    (rights,), (topics,) = known["rights"], known["topics"]
    assert (rights["vhost"], rights["configure"], rights["write"], rights["read"]) == (
        lending.world.vhost, may.configure, may.write, may.read,
    )  # fmt: skip
    assert (topics["exchange"], topics["write"], topics["read"]) == (AGENTS, may.topics[AGENTS], "^$")
    assert [one["value"] for one in known["limits"]] == [dict(AGENT_LIMITS)]
    assert not known["tags"]


async def test_the_secret_is_nowhere_but_on_the_machine(lending: Lending, laptop: Machine) -> None:
    """Positive control: its salted hash, which travelled, is found in the same places."""
    (asked,) = lending.world.said(EnrolmentRequested, agent=laptop.id)
    kept = "".join([str(one) async for one in _documents(lending)])
    said = "".join(fact.model_dump_json() for _, fact in lending.world.heard)
    logs = "".join(process.log.read_text() for process in lending.services.values())
    assert asked.secret_hash in kept
    assert asked.secret_hash in said
    assert not [place for place in (kept, said, logs) if laptop.secret in place]
    assert asked.secret_hash not in logs
    assert laptop.id in logs


async def _documents(lending: Lending) -> Any:
    for service in lending.services:
        database = lending.world.database(service)
        for name in await database.list_collection_names():
            async for document in database[name].find():
                yield document


async def test_a_code_is_good_once_and_for_a_while(lending: Lending, lena: Person, tmp_path: Path) -> None:
    code = await lending.code(lena)
    first = await lending.enrol(code, tmp_path / "one")
    assert first.code == 0, first.said
    lending.world.forget_later(Machine(tmp_path / "one").id)
    second = await lending.enrol(code.lower(), tmp_path / "two")
    assert (second.code, "has let in another machine" in second.said) == (1, True), second.said
    late = await lending.code(lena)
    await _runs_out(lending, late)
    third = await lending.enrol(late, tmp_path / "three")
    assert (third.code, "has run out" in third.said) == (1, True), third.said
    assert not Machine(tmp_path / "two").file.exists()
    assert not Machine(tmp_path / "three").file.exists()


async def _runs_out(lending: Lending, code: str) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    codes = lending.world.database(INTAKE)["codes"]
    done = await codes.update_one({"codes.hash": code_hash(code)}, {"$set": {"codes.$.until": past}})
    assert done.modified_count == 1


async def test_only_lenders_get_codes_and_only_a_few(lending: Lending) -> None:
    renter = await lending.framelend(await lending.a_person("renter"), "agents", "code")
    assert (renter.code, "role lender" in renter.said) == (1, True), renter.said
    greedy = await lending.a_person("lender")
    answers = await asyncio.gather(*(greedy.post("/v1/agents/codes") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [429] * 3


async def test_whatever_dies_in_between_the_same_command_makes_the_same_machine(
    lending: Lending, lena: Person, tmp_path: Path
) -> None:
    """The scheduler is away; the machine's call, then intake, are killed; all come back."""
    code = await lending.code(lena)
    lending.services[SCHEDULER].kill()
    calling = await lending.begin_to_enrol(code, tmp_path)
    await lending.world.hear(EnrolmentRequested, agent=agent_of(code_hash(code)))
    calling.kill()
    await calling.wait()
    lending.services[INTAKE].kill()
    await asyncio.gather(lending.start(INTAKE), lending.start(SCHEDULER))
    done = await lending.enrol(code, tmp_path)
    assert done.code == 0, done.said
    found = Machine(tmp_path)
    lending.world.forget_later(found.id)
    assert found.id == agent_of(code_hash(code))
    assert len(lending.world.said(AgentEnrolled, agent=found.id)) == 1
    assert not await lending.world.refuses(found.id, found.secret)


async def test_a_guesser_is_soon_slowed_down_and_holds_up_no_good_code_of_his_host(lending: Lending, lena: Person) -> None:
    code, body = await lending.code(lena), {"name": "x", "secret_hash": "A" * 48}
    async with httpx.AsyncClient(base_url=lending.url, timeout=30) as guesser:

        async def tried(guess: str) -> int:
            return (await guesser.post("/v1/agents/enrol?wait=0", json={**body, "code": guess})).status_code

        guesses = [await tried(f"AAAA-AAAA-AAAA-{number:04}".translate(LETTERS)) for number in range(12)]
        assert set(guesses) == {403, 429}
        assert await tried(code) == 200
    lending.world.forget_later(agent_of(code_hash(code)))


LETTERS = str.maketrans("0123456789", "QRSTUVWXYZ")


async def test_a_revoked_machine_is_cut_off_and_what_it_left_is_dropped(lending: Lending, lena: Person) -> None:
    """Positive control: another machine's words, left in the same way, are heard."""
    gone, other = await lending.a_machine(lena), await lending.a_machine(lena)
    connection = await gone.connect()
    revoking = asyncio.create_task(lending.framelend(lena, "agents", "revoke", gone.id, "--yes", "--json"))
    await until(lambda: not connection.connected.is_set(), "its connection is cut")
    done = await revoking
    await connection.close()
    assert (done.code, '"state": "revoked"' in done.said) == (0, True), done.said
    await lending.world.hear(AgentRevoked, agent=gone.id, owner=lena.id)
    assert await lending.world.refuses(gone.id, gone.secret)
    queues = await asyncio.to_thread(lending.manage, "GET", f"queues/{lending.world.vhost}")
    assert {mailbox(gone.id), mailbox(other.id)} & {queue["name"] for queue in queues} == {mailbox(other.id)}
    await until(lambda: _is_dropped(lending, gone.id), "what it left is dropped by every service")
    assert not await _is_dropped(lending, other.id)
    await lending.world.hear(AgentChanged, agent=other.id, state="online")
    assert not lending.world.said(AgentChanged, agent=gone.id, state="online")


async def _is_dropped(lending: Lending, agent: str) -> bool:
    """Puts words under this name into the inboxes of the services that hear agents; whether each of them dropped one unread."""
    heard = [await _counts(lending, service) for service in lending.services]
    grant = Grant(
        agent=agent, job="j-none", chunk="c", attempt="t", kind=Kind.RENDER, frames=(FrameRange(first=1, last=1),),
        bundle="b" * 64, picture=Picture(width=1, height=1), max_bytes=1, until=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    for event in (a_ready(), FramesCompleted(grant=grant, frames=(CompletedFrame(frame=1, file_sha256="c" * 64, seconds=1),))):
        await lending.left_behind(agent, event)

    async def taken() -> bool:
        now = [await _counts(lending, service) for service in lending.services]
        return all(sum(after) > sum(before) for before, after in zip(heard, now, strict=True))

    await until(taken, "every service has taken a word")
    now = [await _counts(lending, service) for service in lending.services]
    return all(after[0] > before[0] for before, after in zip(heard, now, strict=True))


async def _counts(lending: Lending, service: str) -> tuple[float, float]:
    """Words of agents dropped unread, and frames completed that were read."""
    dropped = await lending.count(service, "framelend_inbox_dropped_total", why="shut out")
    return dropped, await lending.count(service, "framelend_inbox_messages_total", event=FramesCompleted.key())


async def test_who_may_revoke(lending: Lending, laptop: Machine) -> None:
    """Its owner (above) and the operator; for anybody else it does not exist."""
    stranger = await lending.framelend(await lending.a_person("lender"), "agents", "revoke", laptop.id, "--yes")
    assert (stranger.code, "has no such agent" in stranger.said) == (1, True), stranger.said
    unsure = await lending.framelend(lending.operator, "agents", "revoke", laptop.id)
    assert unsure.code != 0, "it asks first"
    assert not await lending.world.refuses(laptop.id, laptop.secret)
    done = await lending.framelend(lending.operator, "agents", "revoke", laptop.id, "--yes", "--reason", "terms broken")
    assert done.code == 0, done.said
    assert (await lending.world.hear(AgentRevoked, agent=laptop.id)).reason == "terms broken"
    assert await lending.world.refuses(laptop.id, laptop.secret)


async def test_a_working_agent_follows_its_new_secret_and_a_crash_in_between_leaves_a_way_back(
    lending: Lending, lena: Person
) -> None:
    found = await lending.a_machine(lena)
    older = found.file.read_text()
    with lending.running(found):
        await until(lambda: lending.world.said(AgentReady, slots=0), "the agent speaks")
        done = await lending.rotate(found.home)
        assert done.code == 0, done.said
        spoken = len(lending.world.said(AgentReady))
        await asyncio.to_thread(lending.manage, "DELETE", f"connections/username/{found.id}")
        await until(lambda: len(lending.world.said(AgentReady)) > spoken, "it is back with its new secret")
    assert found.file.read_text() != older
    found.file.rename(found.file.with_name("agent.json.next"))
    found.file.write_text(older)
    found.file.chmod(0o600)
    with lending.running(found):
        await until(lambda: found.file.read_text() != older, "the old secret is refused, the next one let in")
    assert [file.name for file in found.file.parent.iterdir()] == ["agent.json"]
