"""How much of a batch is verified while its messages wait.

A message must be answered within 30 s; what would take longer becomes a task. Seconds are rough, on the safe side, of one core.
"""

from collections.abc import Sequence

from contracts.values import Picture

SECONDS_PER_FRAME = 0.05
SECONDS_PER_MEGAPIXEL = 0.15
AT_ONCE_SECONDS = 10.0
"""Of all verifying processes together."""


def seconds(frames: int, picture: Picture) -> float:
    return frames * (SECONDS_PER_FRAME + SECONDS_PER_MEGAPIXEL * picture.width * picture.height / 1_000_000)


def at_once(efforts: Sequence[float], verifiers: int) -> list[bool]:
    """Which deliveries of a batch are verified at once, in order of arrival, until the time is used up."""
    left, chosen = AT_ONCE_SECONDS * verifiers, list[bool]()
    for effort in efforts:
        chosen.append(effort <= left)
        left -= effort if chosen[-1] else 0
    return chosen
