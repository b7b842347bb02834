"""The files in which this machine keeps who it is at the broker: its credential, and while it changes its secret the next one.

A file with a secret is its owner's alone from the first byte on and is replaced in one step. The old credential is thrown away
only when the broker has let the new one in: whatever breaks before that, one of the two is good.
"""

import base64
import hashlib
import json
import os
import secrets
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from agent.durable import sync
from agent.settings import Credential, UnusableCredential, read_credential

SALT_BYTES = 4


class Keyring:
    def __init__(self, file: Path) -> None:
        self.file = file
        self._next = file.with_name(f"{file.name}.next")

    def current(self) -> Credential:
        """Raises UnusableCredential."""
        return read_credential(self.file)

    def next(self) -> Credential | None:
        """The one that is to take its place, when a change is under way."""
        try:
            return read_credential(self._next) if self._next.exists() else None
        except UnusableCredential:
            return None

    def candidates(self) -> list[Credential]:
        """Whom the broker may know this machine as. Raises UnusableCredential."""
        fresh = self.next()
        return [self.current(), *([fresh] if fresh is not None else [])]

    def keep(self, credential: Credential) -> None:
        write(self.file, credential)

    def prepare(self, credential: Credential) -> None:
        write(self._next, credential)

    def is_good(self, credential: Credential) -> None:
        """The broker has let this one in: it is the current one from now on."""
        if credential == self.next():
            os.replace(self._next, self.file)
            sync(self.file.parent)


def fresh_secret() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """RabbitMQ's rabbit_password_hashing_sha256. The salt follows from the secret, so that what is sent again is the same; a
    secret of 256 random bits needs none to withstand guessing."""
    salt = hashlib.sha256(b"salt of " + secret.encode()).digest()[:SALT_BYTES]
    return base64.b64encode(salt + hashlib.sha256(salt + secret.encode()).digest()).decode()


def address(broker: str, agent: str, secret: str, authority: Path | None = None) -> str:
    """The broker's address with this machine's user; `authority` is the file of the one who vouches for the broker."""
    parts = urlsplit(broker)
    where = parts.netloc.rpartition("@")[2]
    query = f"cafile={quote(str(authority))}" if authority is not None else parts.query
    return urlunsplit(parts._replace(netloc=f"{quote(agent, safe='')}:{quote(secret, safe='')}@{where}", query=query))


def write(path: Path, credential: Credential) -> None:
    said = credential.model_dump(mode="json", exclude_none=True)
    write_private(path, json.dumps({**said, "amqp_url": credential.amqp_url.get_secret_value()}))


def write_private(path: Path, text: str) -> None:
    """Mode 0600 from the first byte on, on the disk before it takes the older one's place."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync(path.parent)
