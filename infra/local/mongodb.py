"""Makes a fresh mongod a replica set of one with an administrator and one user per service. Safe to repeat."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from infra.local import supervision
from infra.local.failure import FarmError
from infra.local.farmfile import FarmFile

ALREADY_INITIALIZED = 23
NOT_YET_INITIALIZED = 94
USER_EXISTS = 51003
AUTHENTICATION_FAILED = 18


def settle(farm: FarmFile) -> None:
    """Replica set, administrator, users; returns when the node is primary and the administrator can log in."""
    address = f"127.0.0.1:{farm.port('MONGO')}"
    if not supervision.eventually(lambda: _admin_can_log_in(farm), 0):
        _first_boot(address, farm)
    with MongoClient[dict[str, Any]](_direct(farm), directConnection=True) as client:
        _follow_the_port(client, address)
        _wait_for_primary(client)
        for name, password in farm.service_passwords("MONGO").items():
            _ensure_user(client, name, password, [{"role": "readWrite", "db": name}])


def _direct(farm: FarmFile) -> str:
    return f"mongodb://admin:{farm['FARM_MONGO_ADMIN_PASSWORD']}@127.0.0.1:{farm.port('MONGO')}/?authSource=admin"


def _admin_can_log_in(farm: FarmFile) -> bool:
    try:
        with MongoClient[dict[str, Any]](_direct(farm), directConnection=True) as client:
            client.admin.command("replSetGetConfig")
    except PyMongoError:
        return False
    return True


def _first_boot(address: str, farm: FarmFile) -> None:
    """MongoDB's localhost exception: until the first user exists a local client may initiate and make that user."""
    with MongoClient[dict[str, Any]](f"mongodb://{address}", directConnection=True) as client:
        member = {"_id": 0, "host": address}
        try:
            client.admin.command("replSetInitiate", {"_id": "farm", "members": [member]})
        except OperationFailure as problem:
            if problem.code != ALREADY_INITIALIZED:
                raise
        _wait_for_primary(client)
        _ensure_user(client, "admin", farm["FARM_MONGO_ADMIN_PASSWORD"], ["root"])


def _wait_for_primary(client: MongoClient[dict[str, Any]]) -> None:
    if not supervision.eventually(lambda: bool(client.admin.command("hello")["isWritablePrimary"]), 30):
        raise FarmError("mongod", "the replica set has no primary after 30 s", advice="read its log")


def _follow_the_port(client: MongoClient[dict[str, Any]], address: str) -> None:
    """The replica set knows its member by port; when the port had to change, say so."""
    config = client.admin.command("replSetGetConfig")["config"]
    if config["members"][0]["host"] != address:
        config["members"][0]["host"] = address
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)


def _ensure_user(client: MongoClient[dict[str, Any]], name: str, password: str, roles: list[Any]) -> None:
    try:
        client.admin.command("createUser", name, pwd=password, roles=roles)
    except OperationFailure as problem:
        if problem.code != USER_EXISTS:
            raise
        client.admin.command("updateUser", name, pwd=password, roles=roles)
