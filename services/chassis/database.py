"""The way to the service's database, and how long it may take: who waits for ever tells nobody that it is away.

Not the driver's `timeoutMS`: it lets looking for a server take all of its time. What is known to take longer than an answer may
says so itself, with `pymongo.timeout`, which the driver follows instead of what is set here.
"""

import asyncio
import time
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient

from services.chassis.settings import ServiceSettings
from services.chassis.verdicts import WorldAway

FOUND_MS = 5_000
"""To find a server, and to be let in: less than people wait for an answer."""
ANSWERED_MS = 20_000
"""Less than a handler may take. That a server hangs is seen before, by a heartbeat that stays away."""
HEARTBEAT_MS = 5_000
INDEXED_SECONDS = 600.0
"""An index over what years have left; nothing is consumed before it is there."""
AT_THE_DOOR_SECONDS = 2.0
"""A broken connection is back by then, and a server that was started again mostly."""


def client(name: str, settings: ServiceSettings) -> Any:
    return AsyncIOMotorClient(
        settings.mongo_url.get_secret_value(),
        tz_aware=True,
        appname=name,
        serverSelectionTimeoutMS=FOUND_MS,
        connectTimeoutMS=FOUND_MS,
        socketTimeoutMS=ANSWERED_MS,
        heartbeatFrequencyMS=HEARTBEAT_MS,
    )


async def reached(database: Any) -> None:
    """For doors. The driver waits in threads, of which it has few, and all its users share them: who is to be told that the
    database is away may not stand in line there. Raises WorldAway."""
    patient_until = time.monotonic() + AT_THE_DOOR_SECONDS
    while not _is_there(database.client.topology_description):
        if time.monotonic() > patient_until:
            raise WorldAway("no database is to be seen")
        await asyncio.sleep(0.05)


def _is_there(seen: Any) -> bool:
    return bool(seen.has_known_servers and seen.has_writable_server())
