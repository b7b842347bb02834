"""What an agent is at the broker, and the credential it gets."""

import base64
import hashlib
import json
import stat
from pathlib import Path

from contracts.topology import AGENTS, MAILBOX_ARGUMENTS, agent_permissions
from services.scheduler.broker import definitions, hashed
from services.scheduler.enrol import NAME, agent_url, write_credential


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
