"""``farm.env``: the one file that every command reads to find the farm and its secrets."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.local.failure import FarmError
from infra.local.layout import Layout, write_private
from infra.local.ports import USUAL, choose

SERVICES = ("intake", "scheduler", "storage", "billing", "notifier")
HEADER = "# Written by `make up`. Ports and secrets of this farm; remove the whole folder to start afresh.\n"
HASTY = {"FARM_CHUNK_SECONDS": "8", "FARM_AUDIT_SECONDS": "5"}
"""An earlier demo wrote down what only its own farm needs; nobody else chose these."""
AGENTS_PORT = re.compile(r"FARM_AGENT_.+_PORT")
"""An agent's, chosen when it joins; it is good as long as the farm is up."""


def _word() -> str:
    return secrets.token_hex(16)


def _key() -> str:
    return secrets.token_hex(32)


SECRETS: Mapping[str, Callable[[], str]] = {
    "FARM_ID": lambda: secrets.token_hex(4),
    "FARM_ERLANG_COOKIE": _word,
    "FARM_RABBIT_ADMIN_PASSWORD": _word,
    "FARM_MONGO_ADMIN_PASSWORD": _word,
    "FARM_S3_ACCESS_KEY": lambda: "FL" + secrets.token_hex(9).upper(),
    "FARM_S3_SECRET_KEY": _key,
    "FARM_GRANT_KEY": _key,
    "FARM_WEBHOOK_KEY": _key,
    "FARM_OPERATOR_KEY": _key,
    **{f"FARM_{name.upper()}_AMQP_PASSWORD": _word for name in SERVICES},
    **{f"FARM_{name.upper()}_MONGO_PASSWORD": _word for name in SERVICES},
}


@dataclass(frozen=True)
class FarmFile:
    """What farm.env says. Addresses are derived here and nowhere else."""

    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def port(self, name: str) -> int:
        """``port("AMQP")`` is FARM_AMQP_PORT."""
        return int(self.values[f"FARM_{name}_PORT"])

    @property
    def scheduler_shards(self) -> int:
        """Into how many shards the scheduler is divided."""
        return int(self.values.get("FARM_SCHEDULER_SHARDS", "1"))

    def http(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port(name)}"

    def amqp_url(self, user: str, password: str, vhost: str | None = None) -> str:
        return f"amqp://{user}:{password}@127.0.0.1:{self.port('AMQP')}/{vhost or self['FARM_VHOST']}"

    def mongo_url(self, user: str, password: str) -> str:
        place = f"127.0.0.1:{self.port('MONGO')}"
        return f"mongodb://{user}:{password}@{place}/?authSource=admin&replicaSet=farm"

    @property
    def mongo_admin_url(self) -> str:
        return self.mongo_url("admin", self["FARM_MONGO_ADMIN_PASSWORD"])

    @property
    def rabbit_admin(self) -> tuple[str, str]:
        return self["FARM_RABBIT_ADMIN_USER"], self["FARM_RABBIT_ADMIN_PASSWORD"]

    def service_passwords(self, kind: str) -> dict[str, str]:
        """Service → its password; ``kind`` is AMQP or MONGO."""
        return {name: self[f"FARM_{name.upper()}_{kind}_PASSWORD"] for name in SERVICES}


def parse(text: str) -> dict[str, str]:
    """Lines of NAME=value; no quotes, no expansion."""
    lines = (line.strip() for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def read(layout: Layout) -> FarmFile:
    try:
        return FarmFile(parse(layout.env_file.read_text()))
    except FileNotFoundError:
        raise FarmError("farm", f"there is no farm in {layout.root}", advice="start one with `make up`") from None


def write(layout: Layout, values: Mapping[str, str]) -> FarmFile:
    write_private(layout.env_file, HEADER + "".join(f"{name}={value}\n" for name, value in values.items()))
    return FarmFile(dict(values))


def remember(layout: Layout, **values: str) -> FarmFile:
    """Add or replace values, e.g. ``remember(layout, FARM_RENDER_IMAGE="sha256:…")``."""
    return write(layout, {**read(layout).values, **values})


def prepare(layout: Layout, docker_host: str) -> FarmFile:
    """Farm.env for a farm that is about to start: secrets are kept, ports are kept where they are still free; agents, of which
    none runs, choose theirs anew, and an earlier demo's haste is dropped."""
    said = parse(layout.env_file.read_text()) if layout.env_file.exists() else {}
    old = {name: value for name, value in said.items() if not AGENTS_PORT.fullmatch(name) and HASTY.get(name) != value}
    ports = choose({name: int(old.get(name, usual)) for name, usual in USUAL.items()})
    fixed = {
        "FARM_DIR": str(layout.root),
        "FARM_MAIL_DIR": str(layout.data("mail")),
        "FARM_DOCKER_HOST": docker_host,
    }
    chosen = {"FARM_VHOST": "farm", "FARM_RABBIT_ADMIN_USER": "farm-admin", "FARM_RENDER_IMAGE": ""}
    made = {name: make() for name, make in SECRETS.items() if name not in old}
    return write(layout, {**chosen, **made, **old, **fixed, **{name: str(port) for name, port in ports.items()}})


def moved(layout: Layout, before: Mapping[str, str]) -> list[str]:
    """One line for each port that is not the usual one or not the one of last time."""
    now = read(layout)
    return [
        f"{name.removeprefix('FARM_').removesuffix('_PORT').lower()}: port {usual} is taken, using {now[name]}"
        for name, usual in USUAL.items()
        if int(now[name]) != int(before.get(name, usual))
    ]
