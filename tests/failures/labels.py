"""The labels that were written down before the classifier was touched, and what an ending is called in their words."""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.domain.attempt import End, Ending
from contracts.events import Fault

FILE = Path(__file__).resolve().parent / "labels.toml"


class Label(StrEnum):
    SCENE = "scene"
    MEMORY = "memory"
    TIME = "time"
    MACHINE = "machine"
    INTERRUPTION = "interruption"
    NONE = "none"


@dataclass(frozen=True)
class Failure:
    """One way to fail, as labels.toml has it. `frame`: the one that must be named; None asks for nothing."""

    name: str
    label: Label
    how: str
    why: str
    frame: int | None = None
    asked: str = ""


def failures() -> dict[str, Failure]:
    read = tomllib.loads(FILE.read_text(encoding="utf-8"))["failure"]
    return {one["name"]: Failure(**{**one, "label": Label(one["label"])}) for one in read}


def called(ending: Ending) -> Label:
    """What the scheduler is told by this ending."""
    if ending.fault is not None:
        return {
            Fault.SCENE: Label.SCENE,
            Fault.MEMORY: Label.MEMORY,
            Fault.TIME: Label.TIME,
            Fault.MACHINE: Label.MACHINE,
        }[ending.fault]
    return Label.INTERRUPTION if ending.end is End.RELEASED else Label.NONE
