"""agent.toml: what a lender decides about his machine, in the units he thinks in. An unknown word is a mistake, never ignored."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.domain.hours import WEEKDAYS, Hours, hours
from contracts.values import MICRO, Id, Label

GB, MBIT = 1_000_000_000, 125_000
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Celsius = Annotated[float, Field(ge=20, le=120)]


class UnusableSettings(Exception):
    """The file cannot be used; the text names it, the place in it, and what is wrong there."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(Section):
    cores: Annotated[float, Field(gt=0, le=4_096)] | None = None
    memory_gb: Annotated[float, Field(ge=1)] | None = None
    slots: Annotated[int, Field(ge=1, le=64)] | None = None
    cache_gb: Annotated[float, Field(ge=0.01)] | None = None
    """Of downloaded scenes."""
    keep_free_gb: Annotated[float, Field(ge=0)] | None = None
    """Disk that is never used up."""
    upload_mbit: Positive | None = None
    download_mbit: Positive | None = None
    gpus: tuple[str, ...] | None = None
    """Devices lent, as `nvidia-smi -L` numbers them; [] lends none, left out lends all."""
    priority: str | None = None

    def settings(self) -> dict[str, Any]:
        """Under the names of AgentSettings, in its units; only what is said."""
        told = {
            "agent_cpus": self.cores,
            "agent_memory_bytes": _times(self.memory_gb, GB),
            "agent_slots": self.slots,
            "agent_cache_bytes": _times(self.cache_gb, GB),
            "agent_keep_free_bytes": _times(self.keep_free_gb, GB),
            "agent_upload_bytes_per_second": _times(self.upload_mbit, MBIT),
            "agent_download_bytes_per_second": _times(self.download_mbit, MBIT),
            "agent_gpus": self.gpus,
            "agent_priority": self.priority,
        }
        return {name: value for name, value in told.items() if value is not None}


class Pause(Section):
    """When the machine is its owner's. Everything is off until he says otherwise."""

    idle_minutes: Positive | None = None
    """Lend only after so long without keyboard and mouse."""
    load_cores: Positive | None = None
    """Pause while other programs use more than this."""
    programs: tuple[str, ...] = ()
    """Pause while one of these runs, by the name `ps -e` shows."""
    on_battery: bool = False
    above_celsius: Celsius | None = None
    resume_celsius: Celsius | None = None
    """10 degrees below `above_celsius` unless it is said."""
    give_back_minutes: Annotated[float, Field(ge=0, le=60)] = 5.0

    @model_validator(mode="after")
    def _ordered(self) -> "Pause":
        if self.resume_celsius is not None and (self.above_celsius is None or self.resume_celsius >= self.above_celsius):
            raise ValueError("resume_celsius must be below above_celsius")
        return self


class Schedule(Section):
    """Hours in which the machine is lent, like ["22:00-06:00"]. A day left out is not lent; without any day it always is."""

    monday: tuple[str, ...] = ()
    tuesday: tuple[str, ...] = ()
    wednesday: tuple[str, ...] = ()
    thursday: tuple[str, ...] = ()
    friday: tuple[str, ...] = ()
    saturday: tuple[str, ...] = ()
    sunday: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _readable(self) -> "Schedule":
        self.hours()
        return self

    def hours(self) -> Hours:
        return hours({day: getattr(self, day) for day in WEEKDAYS})


class Accept(Section):
    """Whose work is taken, and for how much."""

    minimum_price: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    """Credits per WU."""
    engines: Annotated[tuple[Label, ...], Field(max_length=16)] = ()
    """As Blender names them (CYCLES, BLENDER_EEVEE_NEXT); empty takes any."""
    maximum_memory_gb: Positive | None = None
    renters: Annotated[tuple[Id, ...], Field(max_length=100)] = ()
    """Accounts; empty takes anybody's."""
    by_hand: bool = False
    """Of all that, only what he says yes to: `framelend offers`."""

    @property
    def minimum_micro(self) -> int:
        return round(self.minimum_price * MICRO)


class LenderFile(Section):
    limits: Limits = Limits()
    pause: Pause = Pause()
    schedule: Schedule = Schedule()
    accept: Accept = Accept()


def read_lender_file(path: Path) -> dict[str, Any]:
    """What the file says, under the names of AgentSettings. Raises UnusableSettings."""
    try:
        said = LenderFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as gone:
        raise UnusableSettings(f"{path}: {gone.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise UnusableSettings(f"{path} is no TOML file: {broken}") from None
    except ValidationError as wrong:
        raise UnusableSettings("\n".join(f"{path}: {line}" for line in _lines(wrong))) from None
    sections = said.model_dump(include={"pause", "schedule", "accept"}, exclude_unset=True)
    return {**said.limits.settings(), **sections}


def _lines(wrong: ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, error['loc']))}: {_words(error)}" for error in wrong.errors(include_url=False)]


def _words(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such setting"
    return str(error["msg"]).removeprefix("Value error, ")


def _times(value: float | None, unit: int) -> int | None:
    return None if value is None else round(value * unit)
