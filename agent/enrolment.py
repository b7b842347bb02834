"""How this machine comes to the farm: one call with the lender's one-time code, and a secret that never leaves it.

The secret is made and kept before anything is sent, so that the same command again, after whatever broke, says the same thing and
is the same machine. Only its salted hash travels.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, ValidationError

from agent.domain.address import danger, is_here
from agent.keyring import Keyring, address, fresh_secret, secret_hash, write_private
from agent.settings import Credential
from contracts.values import Digest, Id, Value

WAIT_SECONDS = 20
PATIENCE_SECONDS = 180.0
PAUSE_SECONDS, PENDING_SECONDS = 2.0, 0.5
LONGEST_NAME = 60
BUSY = frozenset({429, 502, 503, 504})


class NotEnrolled(Exception):
    """The text says why, and what to do."""


class Answer(Value):
    """Of the farm; `state` is pending or enrolled."""

    agent: Id
    state: str
    broker: Annotated[str, Field(pattern=r"^amqps?://[^@/]+/.*$", max_length=500)]
    authority: Annotated[str, Field(max_length=100_000)] | None = None
    image: Digest | None = None


@dataclass(frozen=True)
class Request:
    """`code` as the lender typed it; `farm` is its address."""

    code: str
    farm: str
    name: str
    plain_is_fine: bool = False
    """The lender accepts a broker without encryption."""


def enrol(asked: Request, file: Path, say: Callable[[str], None], patience: float = PATIENCE_SECONDS) -> Credential:
    """Writes the credential and returns it. Raises NotEnrolled."""
    _check(asked, file)
    secret = _secret(asked.code, _draft(file))
    answer = _asked(asked, secret_hash(secret), say, time.monotonic() + patience)
    if why := danger(answer.broker, asked.plain_is_fine):
        raise NotEnrolled(f"The farm has taken this machine in, but {why}.")
    authority = _authority(answer, file)
    url = address(answer.broker, answer.agent, secret, authority)
    credential = Credential(agent=answer.agent, amqp_url=SecretStr(url), image=answer.image, farm=asked.farm.rstrip("/"))
    Keyring(file).keep(credential)
    _draft(file).unlink(missing_ok=True)
    return credential


def _check(asked: Request, file: Path) -> None:
    if file.exists():
        raise NotEnrolled(f"This machine is enrolled already: {file}. To enrol it anew, revoke it and remove that file.")
    where = urlsplit(asked.farm)
    if where.scheme not in ("http", "https") or not where.hostname:
        raise NotEnrolled(f"{asked.farm} is no address of a farm; it looks like https://farm.example")
    if where.scheme == "http" and not is_here(where.hostname):
        raise NotEnrolled("Over http:// everybody on the way could read the code and be you. Use the farm's https:// address.")


def _draft(file: Path) -> Path:
    return file.with_name(f"{file.name}.enrolling")


def _secret(code: str, draft: Path) -> str:
    """The one this code was tried with before, else a new one."""
    mark = hashlib.sha256(code.encode()).hexdigest()
    try:
        kept = json.loads(draft.read_text(encoding="utf-8"))
        if kept["code"] == mark:
            return str(kept["secret"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none, or one that a crash left half written
    secret = fresh_secret()
    write_private(draft, json.dumps({"code": mark, "secret": secret}))
    return secret


def _asked(asked: Request, hashed: str, say: Callable[[str], None], end: float) -> Answer:
    """The same call until the farm has taken the machine in; once at least."""
    body = {"code": asked.code, "name": asked.name, "secret_hash": hashed}
    told = "the farm has not taken this machine in yet"
    with httpx.Client(timeout=httpx.Timeout(15, read=WAIT_SECONDS + 25), trust_env=False) as http:
        while True:
            answer, why, pause = _once(http, asked.farm, body)
            if answer is not None and answer.state == "enrolled":
                return answer
            if why and why != told:
                say(f"{why}; trying again.")
            told = why or told
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            if time.monotonic() >= end:
                break
    raise NotEnrolled(f"Not yet: {told}. Run the same command again; it goes on where it was.")


def _once(http: httpx.Client, farm: str, body: dict[str, Any]) -> tuple[Answer | None, str, float]:
    """The answer, or why there is none; and how long to wait before asking again. Raises NotEnrolled when it is a no."""
    try:
        found = http.post(f"{farm.rstrip('/')}/v1/agents/enrol", params={"wait": WAIT_SECONDS}, json=body)
    except httpx.TransportError as away:
        return None, f"the farm at {farm} cannot be reached ({type(away).__name__})", PAUSE_SECONDS
    if found.status_code in BUSY:
        return None, f"the farm is busy: {_words(found)}", _pause(found)
    if found.is_error:
        raise NotEnrolled(_words(found))
    try:
        return Answer.model_validate_json(found.content), "", PENDING_SECONDS
    except ValidationError:
        raise NotEnrolled(f"What answers at {farm} does not speak as a farm does. Check the address.") from None


def _words(answer: httpx.Response) -> str:
    """What the farm says, in its own words; strangers' bytes are kept short and printable."""
    try:
        said = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        said = f"no farm answered, but something else with status {answer.status_code}. Check the address."
    return "".join(letter for letter in said if letter.isprintable())[:500]


def _pause(answer: httpx.Response) -> float:
    asked = answer.headers.get("retry-after", "")
    return min(30.0, float(asked)) if asked.isdigit() else PAUSE_SECONDS


def _authority(answer: Answer, file: Path) -> Path | None:
    """Each credential's own: beside it may lie that of another farm, whose agent goes on trusting whom it has trusted."""
    if answer.authority is None:
        return None
    whose = file.resolve()
    kept = whose.with_name(f"{whose.name}.authority.pem")
    write_private(kept, answer.authority)
    return kept
