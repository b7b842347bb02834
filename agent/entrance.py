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
REFUSES = "the farm refuses this machine: it is quarantined, revoked or enrolled elsewhere; `framelend agents` says why"
AWAY = "the broker is away"


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


class Entrance:
    """Of this machine into the broker. `last`: how it was answered last; `connection`: what it has since it was let in."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self.last = Login.AWAY
        self.connection: AbstractRobustConnection | None = None
        self._told_at = -TELL_SECONDS

    def shut(self) -> str | None:
        """Why this machine is not in; None while it is."""
        if self.connection is not None and self.connection.connected.is_set():
            return None
        return REFUSES if self.last is Login.REFUSED else AWAY

    async def enter(self) -> AbstractRobustConnection:
        """As soon as the broker lets us in."""
        while True:
            for credential in self._keyring.candidates():
                try:
                    connection = await connect(credential.amqp_url.get_secret_value(), credential.agent)
                except (AuthenticationError, ProbableAuthenticationError):
                    self._answered(Login.REFUSED)
                except (AMQPError, ConnectionError, OSError, TimeoutError) as away:
                    log.warning("the broker cannot be reached", why=type(away).__name__)
                    self._answered(Login.AWAY)
                    break
                else:
                    self._answered(Login.LET_IN)
                    self._keyring.is_good(credential)
                    self.connection = connection
                    return connection
            await asyncio.sleep(AGAIN_SECONDS)

    async def follow(self, connection: AbstractRobustConnection) -> None:
        """For ever: a connection that was lost comes back by itself, with the secret that is good by then."""
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            if not connection.connected.is_set():
                self._answered(await self._look(connection))

    def _answered(self, outcome: Login) -> None:
        now = asyncio.get_running_loop().time()
        if outcome is Login.REFUSED and now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            log.error("this machine is not let in", why=REFUSES)
        self.last = outcome

    async def _look(self, connection: AbstractRobustConnection) -> Login:
        """How the broker answers our secrets; the good one is what the connection uses from now on. Refused are we only when
        it knows none of them."""
        outcomes = set[Login]()
        try:
            candidates = self._keyring.candidates()
        except UnusableCredential as gone:
            log.error("the credential cannot be read", why=str(gone))
            return Login.AWAY
        for credential in candidates:
            outcome = await login(credential)
            outcomes.add(outcome)
            if outcome is Login.LET_IN:
                self._keyring.is_good(credential)
                assert isinstance(connection, aio_pika.RobustConnection)
                connection.url = URL(credential.amqp_url.get_secret_value())
                return outcome
        return Login.REFUSED if outcomes == {Login.REFUSED} else Login.AWAY
