"""What the lender decides about his machine, from the environment (prefix FRAMELEND_) and the file his enrolment left."""

import json
import os
import stat
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.values import Digest, Id, Value

GIB = 1 << 30


class UnusableCredential(Exception):
    """The credential file is missing, broken, or readable by others; the text says which and what to do."""


class Credential(Value):
    """Who this agent is at the broker. The secret lives inside the URL."""

    agent: Id
    amqp_url: SecretStr


class AgentSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="FRAMELEND_", extra="ignore", frozen=True)

    agent_file: Path
    agent_dir: Path
    agent_http_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Of /health and /metrics on loopback; 0 takes any free one."""
    agent_image: Digest | None = None
    """The render image the owner agreed to, by digest: any other is refused."""
    agent_cpus: Annotated[float, Field(gt=0, le=4_096)] = Field(default_factory=lambda: float(os.cpu_count() or 1))
    agent_memory_bytes: Annotated[int, Field(ge=1_000_000_000)] = Field(
        default_factory=lambda: max(2_000_000_000, psutil.virtual_memory().total * 3 // 4)
    )
    agent_slots: Annotated[int, Field(ge=1, le=64)] = 1
    agent_cache_bytes: Annotated[int, Field(ge=1 << 20)] = 20 * GIB
    agent_spool_bytes: Annotated[int, Field(ge=1 << 20)] = 5 * GIB
    """Delivered pictures kept in case the store loses one; undelivered ones are kept whatever they take."""
    log_level: str = "INFO"
    otlp_url: str | None = None

    @property
    def slot_cpus(self) -> float:
        return self.agent_cpus / self.agent_slots

    @property
    def slot_memory_bytes(self) -> int:
        return self.agent_memory_bytes // self.agent_slots


def read_credential(path: Path) -> Credential:
    """Raises UnusableCredential."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UnusableCredential(f"{path} can be read by others: chmod 600 {path}")
        return Credential.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as gone:
        raise UnusableCredential(f"{path}: {gone.strerror}; enrol this machine first") from None
    except ValueError:
        raise UnusableCredential(f"{path} is no credential file; enrol this machine again") from None
