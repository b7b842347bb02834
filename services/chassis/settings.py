"""Settings that every service has. Read once, in `app`, from the process's own environment (prefix FRAMELEND_)."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """A service's own settings class extends this one; nothing reads settings at import."""

    model_config = SettingsConfigDict(env_prefix="FRAMELEND_", extra="ignore", frozen=True)

    amqp_url: SecretStr
    mongo_url: SecretStr
    mongo_database: str
    http_host: str = "127.0.0.1"
    http_port: int
    log_level: str = "INFO"
    otlp_url: str | None = None
    sweep_seconds: float = 5.0
    """How often leftovers are announced: events saved ten seconds ago or more."""
    guard_inboxes: bool = True
    """Off, no agent is too loud or too wrong for us: only to show what the guard is for."""
