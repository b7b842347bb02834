"""Into the broker, and back into it, with whichever of this machine's secrets it takes."""

import asyncio
from enum import StrEnum

import aio_pika
import structlog
from aio_pika.abc import AbstractRobustConnection
from aiormq.exceptions import AMQPError, AuthenticationError, ProbableAuthenticationError
from yarl import URL

from agent.keyring import Keyring
from agent.settings import Credential, UnusableCredential
from contracts.bus import connect

log = structlog.get_logger()

AGAIN_SECONDS = 2.0
LOGIN_SECONDS = 10.0
TELL_SECONDS = 60.0


class Login(StrEnum):
    LET_IN = "let in"
    REFUSED = "refused"
    """The broker does not know this secret."""
    AWAY = "away"
    """Nobody answered, or not now."""


async def login(credential: Credential) -> Login:
    """Tries it on a connection of its own."""
    connection: aio_pika.abc.AbstractConnection = aio_pika.Connection(URL(credential.amqp_url.get_secret_value()))
    try:
        await connection.connect(timeout=LOGIN_SECONDS)
    except (AuthenticationError, ProbableAuthenticationError):
        return Login.REFUSED
    except (AMQPError, ConnectionError, OSError, TimeoutError) as away:
        log.debug("no login", why=type(away).__name__)
        return Login.AWAY
    finally:
        await connection.close()
    return Login.LET_IN


async def enter(keyring: Keyring) -> AbstractRobustConnection:
    """As soon as the broker lets us in."""
    while True:
        for credential in keyring.candidates():
            try:
                connection = await connect(credential.amqp_url.get_secret_value(), credential.agent)
            except (AuthenticationError, ProbableAuthenticationError):
                log.error("the broker refuses this machine's secret; was it revoked, or enrolled again elsewhere?")
            except (AMQPError, ConnectionError, OSError, TimeoutError) as away:
                log.warning("the broker cannot be reached", why=type(away).__name__)
                break
            else:
                keyring.is_good(credential)
                return connection
        await asyncio.sleep(AGAIN_SECONDS)


async def follow(connection: AbstractRobustConnection, keyring: Keyring) -> None:
    """For ever: a connection that was lost comes back by itself, with the secret that is good by then."""
    told_at = -TELL_SECONDS
    while True:
        await asyncio.sleep(AGAIN_SECONDS)
        if connection.connected.is_set():
            continue
        outcomes = await _look(connection, keyring)
        now = asyncio.get_running_loop().time()
        if outcomes == {Login.REFUSED} and now - told_at >= TELL_SECONDS:
            told_at = now
            log.error("the broker refuses this machine; was it revoked, or enrolled again elsewhere?")


async def _look(connection: AbstractRobustConnection, keyring: Keyring) -> set[Login]:
    """How the broker answers each secret; the good one is what the connection uses from now on."""
    outcomes = set[Login]()
    try:
        candidates = keyring.candidates()
    except UnusableCredential as gone:
        log.error("the credential cannot be read", why=str(gone))
        return outcomes
    for credential in candidates:
        outcome = await login(credential)
        outcomes.add(outcome)
        if outcome is Login.LET_IN:
            keyring.is_good(credential)
            assert isinstance(connection, aio_pika.RobustConnection)
            connection.url = URL(credential.amqp_url.get_secret_value())
            break
    return outcomes
