"""A new secret for this machine, while it goes on working.

The broker asks for a secret only when a connection begins, so the one that is open stays open. The new secret is made and kept
here, its salted hash is offered to the scheduler over the bus with the old one, and when the broker lets the new one in, which is
all the confirmation there is, it takes the old one's place. Begun again after a crash it goes on with the same new secret.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from aiormq.exceptions import AMQPError, AuthenticationError, InvalidFrameError, ProbableAuthenticationError
from pydantic import SecretStr

from agent.entrance import Login, login
from agent.journal import later
from agent.keyring import Keyring, address, fresh_secret, secret_hash
from agent.settings import Credential
from contracts.bus import Announcement, Announcer, NotAnnounced, connect, new_id
from contracts.events import SecretOffered

OFFER_AGAIN_SECONDS = 15.0
LOOK_AGAIN_SECONDS = 0.5
PATIENCE_SECONDS = 180.0


class NotRotated(Exception):
    """The old secret is still the good one; the text says why and what to do."""


async def rotate(keyring: Keyring, say: Callable[[str], None], patience: float = PATIENCE_SECONDS) -> None:
    """Returns when the new secret is the good one. Raises UnusableCredential, NotRotated."""
    current = keyring.current()
    fresh = keyring.next() or _prepared(keyring, current)
    now = asyncio.get_running_loop().time
    end, offered_at, told = now() + patience, -OFFER_AGAIN_SECONDS, ""
    while await login(fresh) is not Login.LET_IN:
        if now() >= end:
            raise NotRotated(
                f"Not within {patience:.0f} s: {told or 'the farm has not taken the new secret yet'}. Try again later."
            )
        if now() - offered_at >= OFFER_AGAIN_SECONDS:
            offered_at, told = now(), await _offer(current, fresh)
            say(told or "The new secret is offered; waiting until the broker takes it.")
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    keyring.is_good(fresh)


def _prepared(keyring: Keyring, current: Credential) -> Credential:
    """Kept before anybody hears of it."""
    url = address(current.amqp_url.get_secret_value(), current.agent, fresh_secret())
    fresh = current.model_copy(update={"amqp_url": SecretStr(url), "offer": later(new_id(), current.offer)})
    keyring.prepare(fresh)
    return fresh


async def _offer(current: Credential, fresh: Credential) -> str:
    """Over a connection of its own beside the one that works. Empty, or why it could not be said."""
    secret = unquote(urlsplit(fresh.amqp_url.get_secret_value()).password or "")
    event = SecretOffered(offer=fresh.offer or "", secret_hash=secret_hash(secret))
    try:
        async with await connect(current.amqp_url.get_secret_value(), f"{current.agent} rotates") as connection:
            await Announcer(connection, current.agent).announce(Announcement(event))
    except (AuthenticationError, ProbableAuthenticationError):
        return "the broker refuses the old secret too; if this machine was revoked, enrol it anew"
    except InvalidFrameError:  # so aiormq shows a connection that is closed before it is open
        return "this machine has as many connections to the broker as it may; end other programs that use its credential"
    except (AMQPError, ConnectionError, OSError, TimeoutError, NotAnnounced) as away:
        return f"the broker did not take the offer ({type(away).__name__})"
    return ""
