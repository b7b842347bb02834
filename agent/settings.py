"""What the lender decides about his machine: from the environment (prefix FRAMELEND_), then his agent.toml, then the defaults.

His file is FRAMELEND_AGENT_CONFIG, or agent.toml in the agent's folder when there is one. The credential is what enrolment left.
"""

import json
import os
import stat
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from agent.domain.comfort import Rules
from agent.lender import GB, Accept, Pause, Schedule, read_lender_file
from contracts.values import Acceptance, Digest, Id, Value

GIB = 1 << 30
FILE_NAME = "agent.toml"
COOLER_CELSIUS = 10.0


LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL", "NOTSET": "DEBUG"}
"""Other names that Python's own logging knows."""


def _level(said: Any) -> Any:
    return LEVELS.get(said.upper(), said.upper()) if isinstance(said, str) else said


class UnusableCredential(Exception):
    """The credential file is missing, broken, or readable by others; the text says which and what to do."""


class Credential(Value):
    """Who this agent is at the broker. The secret lives inside the URL."""

    agent: Id
    amqp_url: SecretStr
    offer: Id | None = None
    """Under which the secret was offered to the farm, when it is not the first one."""
    image: Digest | None = None
    """The render image that the farm named at enrolment."""
    farm: Annotated[str, Field(max_length=500)] | None = None
    """Its address for people, where this machine was enrolled; None when the operator enrolled it."""


class _LenderFile(PydanticBaseSettingsSource):
    """agent.toml as a source of settings, below the environment. Raises UnusableSettings."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        said, folder = self.current_state.get("agent_config"), self.current_state.get("agent_dir")
        usual = Path(folder or usual_place("XDG_DATA_HOME", ".local/share") / "agent") / FILE_NAME
        if said:
            return read_lender_file(Path(said))
        return read_lender_file(usual) if os.path.isfile(usual) else {}


class AgentSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="FRAMELEND_", env_nested_delimiter="__", extra="ignore", frozen=True)

    agent_file: Path = Field(default_factory=lambda: usual_place("XDG_CONFIG_HOME", ".config") / "agent.json")
    agent_dir: Path = Field(default_factory=lambda: usual_place("XDG_DATA_HOME", ".local/share") / "agent")
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
    agent_keep_free_bytes: Annotated[int, Field(ge=0)] = GIB
    """Disk that no chunk may use up."""
    agent_upload_bytes_per_second: Annotated[int, Field(ge=1_000)] | None = None
    agent_download_bytes_per_second: Annotated[int, Field(ge=1_000)] | None = None
    agent_gpu_image: Digest | None = None
    """The render image with GPU kernels that the owner agreed to; without it no GPU is lent."""
    agent_gpus: tuple[str, ...] | None = None
    """Devices lent; None lends all."""
    agent_priority: Literal["lowest", "normal"] = "lowest"
    """Of containers, for CPU and disk: lowest runs only in what others leave."""
    agent_executor: Literal["docker", "process"] = "docker"
    """Without Docker, for one's own work on one's own machine: agent.process says what that gives up."""
    agent_executor_insists: bool = False
    """On processes although Docker answers."""
    agent_blender_python: Path | None = None
    """A Python that can import bpy; for processes only, as is the folder of the render driver."""
    agent_driver: Path | None = None
    agent_plain_broker: bool = False
    """A broker without encryption beyond this machine: everybody on the way can read the secret and be this machine."""
    agent_config: Path | None = None
    pause: Pause = Pause()
    schedule: Schedule = Schedule()
    accept: Accept = Accept()
    agent_proc_root: Path = Path("/proc")
    agent_sys_root: Path = Path("/sys")
    agent_dev_root: Path = Path("/dev")
    """Where sensors read."""
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_level)] = "INFO"
    otlp_url: str | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _LenderFile(settings_cls)

    @property
    def rules(self) -> Rules:
        """When this machine is its owner's."""
        pause = self.pause
        hot = pause.above_celsius
        cool = pause.resume_celsius if pause.resume_celsius is not None else (hot or COOLER_CELSIUS) - COOLER_CELSIUS
        return Rules(
            idle_seconds=None if pause.idle_minutes is None else 60 * pause.idle_minutes,
            load_cores=pause.load_cores,
            programs=pause.programs,
            on_battery=not pause.on_battery,
            hot_celsius=hot,
            cool_celsius=cool,
            hours=self.schedule.hours(),
            give_back_seconds=60 * pause.give_back_minutes,
        )

    @property
    def acceptance(self) -> Acceptance:
        """What work is taken; the farm is told, so that it offers nothing else."""
        most = self.accept.maximum_memory_gb
        return Acceptance(
            minimum_price=self.accept.minimum_micro,
            engines=self.accept.engines,
            memory_bytes=None if most is None else round(most * GB),
            renters=self.accept.renters,
            by_hand=self.accept.by_hand,
        )

    @property
    def slot_cpus(self) -> float:
        return self.agent_cpus / self.agent_slots

    @property
    def slot_memory_bytes(self) -> int:
        return self.agent_memory_bytes // self.agent_slots


def usual_place(variable: str, below_home: str) -> Path:
    """Where this user keeps such things for Framelend."""
    return Path(os.environ.get(variable) or Path.home() / below_home) / "framelend"


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
