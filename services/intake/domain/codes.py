"""One-time codes: how a lender's account vouches for a machine that nobody knows yet.

Theory. A code is 80 random bits, shown once; of it only the SHA-256 is kept, so nothing that lies here lets anybody in. It
belongs to one account, is good for minutes and for one machine. What the machine brings is its own secret's salted hash: from
code and hash follows everything, so the same request may be sent until it is answered, and the same code with another hash is a
second machine and refused. The machine's id follows from the code, so that whatever breaks in between, one code is one machine.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.events import EnrolmentRequested, Event
from services.intake.domain.ids import derived
from services.intake.domain.refusals import Refused, Why

CODE_BYTES = 10
MOST_OPEN = 5
"""Codes of one account that nobody has used yet."""
MOST_A_DAY = 50
"""Codes of one account: each may become a user and a queue at the broker."""
MOST_MACHINES = 100
"""Of one account at a time."""
REMEMBERED = timedelta(days=1)
_MISREAD = str.maketrans("018", "OIB", "- \t")
"""Letters that people take for others: a code has none of the digits 0, 1, 8, 9."""


@dataclass(frozen=True)
class Terms:
    """What the operator has decided about new machines."""

    broker: str = ""
    """As agents reach it: amqps://HOST:PORT/VHOST. Empty: this farm takes no machines by code."""
    authority: str = ""
    """PEM of the certificate authority that vouches for the broker; empty: one that every machine knows."""
    image: str = ""
    """Digest of the render image; empty: the lender is told it some other way."""
    life: timedelta = timedelta(minutes=15)


@dataclass(frozen=True)
class Code:
    hash: str
    made_at: datetime
    until: datetime
    agent: str = ""
    """Whom it has let in."""
    secret_hash: str = ""


@dataclass(frozen=True)
class Lender:
    """An account's codes of the last day and its machines; the document's id is the account."""

    codes: tuple[Code, ...] = ()
    machines: tuple[str, ...] = ()


Decided = tuple[Lender, Sequence[Event]]


def text(raw: bytes) -> str:
    """`XXXX-XXXX-XXXX-XXXX` of CODE_BYTES random bytes."""
    letters = base64.b32encode(raw).decode()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def code_hash(typed: str) -> str:
    """Of a code as somebody types it: case, hyphens and blanks do not matter."""
    return hashlib.sha256(typed.upper().translate(_MISREAD).encode()).hexdigest()


def made(lender: Lender | None, hash: str, now: datetime, terms: Terms) -> Lender:
    """With one more code. Raises Refused above the account's limits."""
    known = _today(lender or Lender(), now)
    waiting = [code for code in known.codes if not code.agent and now < code.until]
    if len(waiting) >= MOST_OPEN:
        raise _too_many(f"{MOST_OPEN} codes of this account wait to be used.", "Use one of them, or wait until they run out.")
    if len(known.codes) >= MOST_A_DAY:
        raise _too_many(f"This account has made {MOST_A_DAY} codes within a day.", "Come back tomorrow.")
    if len(known.machines) + len(waiting) >= MOST_MACHINES:
        text = f"This account has {MOST_MACHINES} machines."
        raise Refused(Why.CONFLICT, "too-many-machines", text, "Revoke those you no longer use: `framelend agents revoke ID`.")
    return replace(known, codes=(*known.codes, Code(hash, now, now + terms.life)))


def used(account: str, lender: Lender, hash: str, name: str, secret_hash: str, now: datetime) -> Decided:
    """The code is spent on a machine with this secret; the same again changes nothing. Raises Refused."""
    code = find(lender, hash)
    if code is None:
        raise unknown_code()
    if code.agent:
        if not hmac.compare_digest(code.secret_hash, secret_hash):
            raise Refused(
                Why.CONFLICT,
                "code-used",
                "This code has let in another machine already.",
                "If that was not you, revoke that machine (`framelend agents list`). Make a new code: `framelend agents code`.",
            )
        return lender, []
    if now >= code.until:
        text = "This code has run out."
        raise Refused(Why.CONFLICT, "code-expired", text, "Make a new one: `framelend agents code`.")
    spent = replace(code, agent=agent_of(hash), secret_hash=secret_hash)
    codes = tuple(spent if one.hash == hash else one for one in lender.codes)
    event = EnrolmentRequested(agent=spent.agent, owner=account, name=name, secret_hash=secret_hash)
    return Lender(codes, (*lender.machines, spent.agent)), [event]


def without(lender: Lender, agent: str) -> Lender:
    """One of its machines is gone for good."""
    return replace(lender, machines=tuple(one for one in lender.machines if one != agent))


def find(lender: Lender, hash: str) -> Code | None:
    return next((code for code in lender.codes if hmac.compare_digest(code.hash, hash)), None)


def agent_of(hash: str) -> str:
    """The id of the machine that this code lets in."""
    return derived("a", hash)


def unknown_code() -> Refused:
    advice = "Check it letter by letter, or make a new one: `framelend agents code`."
    return Refused(Why.FORBIDDEN, "code-unknown", "This is no code of this farm.", advice)


def _today(lender: Lender, now: datetime) -> Lender:
    return replace(lender, codes=tuple(code for code in lender.codes if now - code.made_at < REMEMBERED))


def _too_many(text: str, advice: str) -> Refused:
    return Refused(Why.TOO_MANY, "too-many-codes", text, advice)
