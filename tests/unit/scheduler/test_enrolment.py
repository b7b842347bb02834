"""What an agent is at the broker, and the credential it gets."""

import base64
import hashlib
import json
import stat
from pathlib import Path

import pytest

from contracts.topology import AGENTS, MAILBOX_ARGUMENTS, agent_permissions
from services.scheduler.app import Stores
from services.scheduler.broker import definitions, hashed
from services.scheduler.domain.states import Access, AgentState
from services.scheduler.enrol import NAME, Refused, agent_url, enrol, revoke, write_credential
from tests.unit.scheduler.office import Office


def test_an_agent_is_one_user_one_mailbox_and_its_own_keys() -> None:
    made = definitions("ann", hashed("secret", b"salt"), "farm")
    may = agent_permissions("ann")
    assert [(row["user"], row["configure"], row["write"], row["read"]) for row in made["permissions"]] == [
        ("ann", "^$", may.write, may.read)
    ]
    assert [(row["exchange"], row["write"], row["read"]) for row in made["topic_permissions"]] == [
        (AGENTS, r"^{username}\.", "^$")
    ]
    assert [(row["name"], row["arguments"]) for row in made["queues"]] == [("agent.ann", dict(MAILBOX_ARGUMENTS))]
    assert [(row["destination"], row["routing_key"]) for row in made["bindings"]] == [("agent.ann", "ann")]
    assert "secret" not in json.dumps(made)


def test_the_secret_is_salted_as_the_broker_expects() -> None:
    raw = base64.b64decode(hashed("secret", b"salt"))
    assert raw == b"salt" + hashlib.sha256(b"salt" + b"secret").digest()


def test_the_credential_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    out = tmp_path / "ann.json"
    out.write_text("older")
    out.chmod(0o644)
    write_credential(out, "ann", "amqp://127.0.0.1:5672/farm", "s/e:c")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert json.loads(out.read_text()) == {"agent": "ann", "amqp_url": "amqp://ann:s%2Fe%3Ac@127.0.0.1:5672/farm"}


def test_a_user_in_the_address_is_replaced() -> None:
    assert agent_url("amqp://guest:guest@host:1/v", "ann", "x") == "amqp://ann:x@host:1/v"


def test_ids_that_would_mean_something_in_a_pattern_are_refused() -> None:
    assert NAME.fullmatch("ann-1")
    for bad in ("a.b", "a*", "^a", "Ann", "a", "a" * 42, "-ab"):
        assert not NAME.fullmatch(bad)


@pytest.mark.parametrize(
    ("owner", "name", "what"), [("Lars", "Lars' box", "owner"), ("", "x", "owner"), ("lars", "x" * 201, "name")]
)
async def test_an_owner_or_a_name_that_no_event_can_say_is_refused_before_anything_is_made(
    owner: str, name: str, what: str
) -> None:
    office = Office()
    with pytest.raises(Refused, match=f"not a good {what}: .*(a-z|200)"):
        await enrol(_stores(office), office.gate, "box-3", owner, name, house=False)
    assert (office.all_agents(), office.management.users, office.management.queues) == ([], {}, set())


async def test_a_machine_with_a_good_owner_and_the_longest_name_is_let_in_and_can_be_revoked() -> None:
    office = Office()
    await enrol(_stores(office), office.gate, "box-3", "lars", "x" * 200, house=False)
    await revoke(_stores(office), office.gate, "box-3", "sold")
    assert [(one.state, one.access) for one in office.all_agents()] == [(AgentState.REVOKED, Access.CLOSED)]


def _stores(office: Office) -> Stores:
    return Stores(
        office.jobs, office.chunks, office.agents, office.farms, office.choices, office.quotes, office.storages
    )  # fmt: skip
