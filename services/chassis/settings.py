"""Settings that every service has. Read once, in `app`, from the process's own environment (prefix FRAMELEND_)."""

from typing import TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "FRAMELEND_"


class ServiceSettings(BaseSettings):
    """A service's own settings class extends this one; nothing reads settings at import."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    amqp_url: SecretStr
    mongo_url: SecretStr
    mongo_database: str
    http_host: str = "127.0.0.1"
    http_port: int
    trusted_proxies: str = "127.0.0.1,::1"
    """Addresses and networks, separated by commas, that are believed about whom they speak for (X-Forwarded-For, -Proto). Whoever
    terminates TLS for intake belongs here: else all its clients are one host, and share what one host may do wrong."""
    log_level: str = "INFO"
    otlp_url: str | None = None
    sweep_seconds: float = 5.0
    """How often leftovers are announced: events saved ten seconds ago or more."""
    guard_inboxes: bool = True
    """Off, no agent is too loud or too wrong for us: only to show what the guard is for."""


S = TypeVar("S", bound=ServiceSettings)


def told(settings: type[S], instead: str = "") -> S:
    """What the environment says. Ends the process where something is missing or wrong, by the variables' names: their values may
    be secrets. `instead`: what a person who has no such environment may do."""
    try:
        return settings()
    except ValidationError as wrong:
        said = wrong.errors(include_input=False, include_url=False)
        lines = [f"{PREFIX}{'.'.join(map(str, one['loc'])).upper()}: {one['msg'].lower()}" for one in said]
        text = "\n".join(["the environment does not say what it must:", *lines, instead])
        raise SystemExit(text.strip()) from None
