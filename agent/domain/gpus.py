"""What `nvidia-smi` says of this machine's GPUs, and which of them an attempt may use.

Asked as CSV with named columns, the one form of its output that NVIDIA describes for scripts. What a card does not know it says
in one of several ways, by age of the driver.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from contracts.events import GpuUse
from contracts.values import Benchmark, Gpu

MIB = 1 << 20
COLUMNS = ("uuid", "name", "memory.total", "memory.used", "utilization.gpu", "temperature.gpu", "driver_version")
UNKNOWN = ("[N/A]", "N/A", "[Not Supported]", "[Unknown Error]", "[GPU is lost]", "")
MOST = 16
HOTTEST_CELSIUS = 150.0
"""Above it is a broken sensor."""
NO_IMAGE = "FRAMELEND_AGENT_GPU_IMAGE names no render image with GPU kernels; the farm's operator has it"
NOT_CHOSEN = "its owner left it out ([limits] gpus)"
FAILED = "its benchmark frame did not render; the agent's log says why, and it is tried again when the agent is started again"
_ID = re.compile(r"GPU-[0-9a-fA-F-]{8,64}")
Row = Mapping[str, str | None]


@dataclass(frozen=True)
class Card:
    """One GPU as its driver tells. `use` is None when the card does not say how busy it is, `celsius` when not how hot."""

    id: str
    name: str
    memory_bytes: int
    driver: str
    use: GpuUse | None = None
    celsius: float | None = None


def rows(text: str, columns: Sequence[str] = COLUMNS) -> list[Row]:
    """Each line by its columns, None for what is unknown; lines with another number of columns (warnings) are left out."""
    found = [[word.strip() for word in line.split(",")] for line in text.splitlines()]
    whole = [words for words in found if len(words) == len(columns)]
    return [{name: None if word in UNKNOWN else word for name, word in zip(columns, words, strict=True)} for words in whole]


def cards(said: Iterable[Row]) -> tuple[Card, ...]:
    """Those with an id, a name and a size: others cannot be told apart or trusted with a scene."""
    return tuple(card for row in said if (card := _card(row)) is not None)[:MOST]


def _card(row: Row) -> Card | None:
    id, name, total = row.get("uuid"), row.get("name"), _number(row.get("memory.total"))
    if not id or not name or not total or not _ID.fullmatch(id):
        return None
    warm = _number(row.get("temperature.gpu"))
    celsius = warm if warm is not None and 0.0 < warm < HOTTEST_CELSIUS else None
    return Card(id, name[:200], int(total) * MIB, row.get("driver_version") or "", _use(row), celsius)


def _use(row: Row) -> GpuUse | None:
    busy, used, warm = (_number(row.get(name)) for name in ("utilization.gpu", "memory.used", "temperature.gpu"))
    if busy is None or used is None or warm is None:
        return None
    try:
        return GpuUse(utilisation_percent=busy, memory_bytes=int(used) * MIB, celsius=warm)
    except ValidationError:
        return None


def _number(word: str | None) -> float | None:
    try:
        return float(word) if word is not None else None
    except ValueError:
        return None


def lent(found: Sequence[Card], chosen: Collection[str] | None, benchmarks: Mapping[str, Benchmark]) -> tuple[Gpu, ...]:
    """What the farm is told: the cards their owner chose (None: all; by id or by number), each with its benchmark if measured."""
    return tuple(
        Gpu(name=card.name, memory_bytes=card.memory_bytes, id=card.id, benchmark=benchmarks.get(card.id))
        for number, card in enumerate(found)
        if chosen is None or card.id in chosen or str(number) in chosen
    )


def idle(
    found: Sequence[Card], chosen: Collection[str] | None, image: str | None, is_here: bool, offered: Sequence[Gpu]
) -> tuple[str, ...]:
    """Why cards are not lent, a line for each; `image`: the one with GPU kernels that was agreed to, `is_here`: it was found."""
    wanted, measured = {gpu.id for gpu in lent(found, chosen, {})}, {gpu.id for gpu in offered if gpu.benchmark is not None}
    none = NO_IMAGE if image is None else None if is_here else f"the image {image[:19]}… (FRAMELEND_AGENT_GPU_IMAGE) is not here"
    whys = [(card.name, (none or FAILED) if card.id in wanted else NOT_CHOSEN) for card in found if card.id not in measured]
    return tuple(f"GPU {name} is not lent: {why}" for name, why in whys)


def hottest(found: Iterable[Card], ids: Collection[str | None]) -> float | None:
    """Degrees Celsius of the hottest of these cards; None when none of them tells."""
    return max((card.celsius for card in found if card.id in ids and card.celsius is not None), default=None)


def refusal(asked: str | None, offered: Sequence[Gpu], taken: Collection[str]) -> str | None:
    """Why an assignment for this GPU cannot be taken; None when it can, or when it is for the CPU."""
    if asked is None:
        return None
    if not any(gpu.id == asked and gpu.benchmark is not None for gpu in offered):
        return "it names a GPU this machine does not lend"
    return "another attempt renders on that GPU" if asked in taken else None
