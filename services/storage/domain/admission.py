"""What an agent may ask of storage under its grant: the rules before any byte is looked at."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime

from contracts.events import RenderedFrame
from contracts.grants import Grant, is_good
from contracts.values import Kind
from services.storage.domain.frame import claim_id

DELIVERING = frozenset({Kind.SAMPLE, Kind.RENDER})
"""Kinds of attempt that bring frames; inspections and probes bring none."""
MOST_FILES = 4
"""Of one frame of one attempt. An agent that has lost a picture renders it once more, and no file comes out twice the same; one
that loses more than this has its attempt end without the frame."""


class NotAllowed(Exception):
    """The agent asks for what its grant does not give; the text says what."""


def check_grant(grant: Grant, keys: Mapping[str, bytes], now: datetime, revoked: bool) -> None:
    """Raises NotAllowed for a grant that is not ours, is over, or is of an agent that is no more."""
    if not is_good(grant, keys, now):
        raise NotAllowed("the grant is not ours or its time is over")
    if revoked:
        raise NotAllowed("the agent is revoked")


def check_frames(grant: Grant, frames: Sequence[int]) -> None:
    """Raises NotAllowed unless this attempt delivers frames, and these are among them, each once."""
    if grant.kind not in DELIVERING:
        raise NotAllowed(f"an attempt of kind {grant.kind.value} delivers no frames")
    if len(set(frames)) != len(frames):
        raise NotAllowed("a frame is named twice")
    outside = [frame for frame in frames if not grant.allows(frame)]
    if outside:
        raise NotAllowed(f"frame {outside[0]} is not in the grant")


def check_sizes(grant: Grant, frames: Sequence[RenderedFrame]) -> None:
    """Raises NotAllowed when a file is larger than the grant lets it be."""
    large = [frame.frame for frame in frames if frame.bytes > grant.max_bytes]
    if large:
        raise NotAllowed(f"frame {large[0]} is larger than the {grant.max_bytes} bytes the grant allows")


def check_files(grant: Grant, frames: Sequence[RenderedFrame], told: Mapping[str, Set[str]]) -> None:
    """Raises NotAllowed when a frame would get room for one file more than may be. `told`: hashes by the claim's id."""
    for frame in frames:
        known = told.get(claim_id(grant.attempt, frame.frame), frozenset())
        if len(known | {frame.file_sha256}) > MOST_FILES:
            raise NotAllowed(f"frame {frame.frame} was told with {MOST_FILES} other files before")
