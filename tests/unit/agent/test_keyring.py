"""A machine's credential and the one that is to replace it: nobody else's, and one of the two is always good."""

import base64
import hashlib
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.keyring import Keyring, address, fresh_secret, secret_hash, write_private
from agent.settings import Credential, UnusableCredential
from contracts.events import SecretOffered
from services.scheduler.broker import hashed

OLD = Credential(agent="a-1", amqp_url=SecretStr("amqp://a-1:old@127.0.0.1:5672/farm"))
NEW = Credential(agent="a-1", amqp_url=SecretStr("amqp://a-1:new@127.0.0.1:5672/farm"), offer="0190")


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    made = Keyring(tmp_path / "home" / "agent.json")
    made.keep(OLD)
    return made


def test_what_holds_a_secret_is_its_owners_alone(keyring: Keyring) -> None:
    keyring.prepare(NEW)
    assert {stat.S_IMODE(file.stat().st_mode) for file in keyring.file.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(keyring.file.parent.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_replaced_by_one_they_cannot(tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    file.write_text("older")
    file.chmod(0o644)
    write_private(file, "newer")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("newer", 0o600)


def test_the_old_secret_stays_until_the_broker_has_let_the_new_one_in(keyring: Keyring) -> None:
    keyring.prepare(NEW)
    assert keyring.candidates() == [OLD, NEW]
    keyring.is_good(OLD)
    assert keyring.candidates() == [OLD, NEW], "that the old one is still taken says nothing about the new one"
    keyring.is_good(NEW)
    assert keyring.candidates() == [NEW]
    keyring.is_good(NEW)
    assert keyring.current() == NEW


def test_a_half_written_next_one_is_as_if_there_were_none(keyring: Keyring) -> None:
    """Cannot happen by a crash of ours, which writes beside and renames; a full disk's repair can leave it."""
    write_private(keyring.file.with_name("agent.json.next"), '{"agent": "a-')
    assert keyring.candidates() == [OLD]


def test_without_a_credential_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnusableCredential, match="enrol this machine first"):
        Keyring(tmp_path / "agent.json").candidates()


def test_a_secret_has_256_bits_and_its_hash_is_the_brokers_kind_of_hash() -> None:
    secret = fresh_secret()
    assert len(base64.urlsafe_b64decode(secret + "=")) == 32
    assert fresh_secret() != secret
    told = secret_hash(secret)
    salt = base64.b64decode(told)[:4]
    assert told == hashed(secret, salt) == secret_hash(secret), "said again it is the same"
    assert base64.b64decode(told)[4:] == hashlib.sha256(salt + secret.encode()).digest()
    assert secret not in SecretOffered(offer="0190", secret_hash=told).model_dump_json()


def test_the_address_carries_user_secret_and_who_vouches_for_the_broker() -> None:
    given = address("amqps://broker.example:5671/farm", "a-1", "s/e:c", Path("/home/ann/ca.pem"))
    assert given == "amqps://a-1:s%2Fe%3Ac@broker.example:5671/farm?cafile=/home/ann/ca.pem"
    assert address(given, "a-1", "new") == "amqps://a-1:new@broker.example:5671/farm?cafile=/home/ann/ca.pem"
