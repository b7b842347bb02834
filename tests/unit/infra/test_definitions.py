"""The document for the broker follows from ROUTES and nothing else."""

import base64
import hashlib

from contracts import topology
from infra.rabbitmq.definitions import definitions, password_hash

PASSWORDS = {service: f"secret-{service}" for service in topology.SERVICES}


def test_the_same_topology_gives_the_same_document() -> None:
    assert definitions("farm", PASSWORDS, "admin") == definitions("farm", PASSWORDS, "admin")


def test_no_password_is_in_the_document() -> None:
    assert not any(password in repr(definitions("farm", PASSWORDS, "admin")) for password in PASSWORDS.values())


def test_a_password_hash_is_its_salt_and_the_digest_of_salt_and_password() -> None:
    raw = base64.b64decode(password_hash("billing", "secret"))
    assert raw[4:] == hashlib.sha256(raw[:4] + b"secret").digest()
    assert raw[:4] != base64.b64decode(password_hash("intake", "secret"))[:4]


def test_everything_is_in_the_virtual_host_that_was_asked_for() -> None:
    told = definitions("another", PASSWORDS, "admin")
    kinds = ("permissions", "topic_permissions", "exchanges", "queues", "bindings")
    assert {row["vhost"] for kind in kinds for row in told[kind]} == {"another"}


def test_no_service_may_configure_anything() -> None:
    rows = definitions("farm", PASSWORDS, "admin")["permissions"]
    assert {row["user"]: row["configure"] for row in rows} == {"admin": ".*", **dict.fromkeys(PASSWORDS, "^$")}


def test_no_service_has_a_tag_that_opens_the_management() -> None:
    assert {user["tags"] for user in definitions("farm", PASSWORDS, "admin")["users"]} == {""}
