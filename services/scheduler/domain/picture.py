"""What a finished frame must be, how much memory rendering it takes, how large its file may be."""

from contracts.changes import Change
from contracts.events import SceneFacts
from contracts.values import Picture, RenderSettings
from services.scheduler.domain.policy import MIB

MAX_SIDE = 32_768
LEAST_MEMORY = 1_000_000_000
"""No agent lends less."""
BASE_MEMORY, MEMORY_PER_PIXEL = 260 * MIB, 70
"""Measured need of Blender after opening a file, and of Cycles per pixel with its passes."""
CHANNELS = 4
ROOM_BYTES = 10 * MIB
"""A file's text holds the names of all objects where Cryptomatte is on; storage takes 8 MiB of it."""


def sides(facts: SceneFacts, settings: RenderSettings) -> tuple[int, int]:
    """Pixels of a finished frame: Blender's own rule, each side × percentage rounded down."""
    width, height = settings.width or facts.width, settings.height or facts.height
    own = 100 if Change.FULL_RESOLUTION in settings.changes else facts.percentage
    percentage = settings.percentage or own
    return max(1, width * percentage // 100), max(1, height * percentage // 100)


def picture(facts: SceneFacts, settings: RenderSettings) -> Picture:
    """Raises ValueError for sides that no picture of ours may have."""
    width, height = sides(facts, settings)
    return Picture(width=width, height=height)


def memory_bytes(facts: SceneFacts, size: Picture) -> int:
    """What a container needs: the survey's estimate, and never less than the picture itself and Blender take."""
    return max(LEAST_MEMORY, facts.memory_bytes, BASE_MEMORY + MEMORY_PER_PIXEL * size.width * size.height)


def max_bytes(size: Picture) -> int:
    """Bound of one frame's file: RGBA that cannot be packed, a tenth for PNG itself, and room for what it says of itself."""
    return ROOM_BYTES + CHANNELS * (size.bits // 8) * size.width * size.height * 11 // 10
