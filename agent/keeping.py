"""What a lender keeps free of his disk stays free while pictures come, too. What is only kept for later makes room first: scenes
at once, delivered pictures within moments (agent.desk)."""

import asyncio
import errno
import shutil

from agent.workplace import Workplace

NEXT_BYTES = 256 << 20
"""While less than this is left, pictures that were delivered are not kept."""
PATIENCE_SECONDS, PAUSE_SECONDS = 1.0, 0.1


def room(place: Workplace) -> int:
    """Bytes that pictures may still take; below 0 when more is taken already."""
    return shutil.disk_usage(place.folders.spool).free - place.settings.agent_keep_free_bytes


def lacking(place: Workplace) -> int:
    """Bytes that should be cleared for the next picture; 0 or below when there is room."""
    return NEXT_BYTES - room(place)


async def make_room(place: Workplace, count: int) -> None:
    """Returns when so many bytes may be written. Raises OSError when nothing more can go."""
    if room(place) >= count:
        return
    await place.cache.make_room(count)
    end = place.now() + PATIENCE_SECONDS
    while room(place) < count:
        if place.now() >= end:
            raise OSError(errno.ENOSPC, "no room for pictures in what its owner does not keep free")
        await asyncio.sleep(PAUSE_SECONDS)
