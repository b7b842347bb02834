"""Value types that events share. They carry meaning and bounds, never behaviour that decides something."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from enum import StrEnum
from operator import attrgetter
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from contracts.changes import Change

MICRO = 1_000_000
"""Micro-credits per credit, micro-WU per WU, microseconds per second."""

MAX_JOB_FRAMES = 1_000_000
MAX_RANGES = 10_000
"""Of one frame list in an event."""
LAST_FRAME = 1_048_574
"""Blender's MAXFRAME; MINAFRAME is its negative (source: Blender's DNA_scene_types.h)."""

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
"""A UUIDv7 or a natural key. The alphabet is narrow so that ids need no escaping in routing keys and object keys."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SecretHash = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{48}$")]
"""RabbitMQ's rabbit_password_hashing_sha256: base64 of 4 bytes of salt and SHA-256(salt + secret). Of 256 random bits:
the broker asks for the secret itself, so whoever reads the hash can do nothing with it."""
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Frame = Annotated[int, Field(ge=-LAST_FRAME, le=LAST_FRAME)]
Micro = Annotated[int, Field(ge=0, le=10**18)]
"""A non-negative amount in micro-units; 10**18 keeps every product below in range of MongoDB's 64 bits when divided by MICRO."""
Bytes = Annotated[int, Field(ge=0, le=1 << 44)]
Text = Annotated[str, Field(max_length=2_000)]
Label = Annotated[str, Field(max_length=200)]
BundlePath = Annotated[str, Field(min_length=1, max_length=1_024)]
Seconds = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]
"""Wall seconds for people and policies; never an amount of money or work."""


class Value(BaseModel):
    """Frozen; unknown fields are dropped, so that an older reader understands a newer writer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FrameRange(Value):
    """Frames `first`, `first + step`, … up to and including `last`."""

    first: Frame
    last: Frame
    step: Annotated[int, Field(ge=1, le=LAST_FRAME)] = 1

    @model_validator(mode="after")
    def _ordered(self) -> "FrameRange":
        if self.last < self.first:
            raise ValueError("a frame range ends before it begins")
        return self

    def __len__(self) -> int:
        return (self.last - self.first) // self.step + 1

    def __iter__(self) -> Iterator[int]:  # type: ignore[override]  # a range is its frames, not its fields
        return iter(range(self.first, self.last + 1, self.step))

    def __contains__(self, frame: int) -> bool:
        return self.first <= frame <= self.last and (frame - self.first) % self.step == 0


Ranges = tuple[FrameRange, ...]


def count(ranges: Ranges) -> int:
    """Frames in disjoint ranges."""
    return sum(len(r) for r in ranges)


def frames(ranges: Ranges) -> Iterator[int]:
    """Every frame, in the ranges' order."""
    for r in ranges:
        yield from r


def ranges(of: Iterable[int]) -> Ranges:
    """The shortest list of ranges a greedy pass finds for these frames; sorted, each frame once."""
    ordered = sorted(set(of))
    found: list[FrameRange] = []
    at = 0
    while at < len(ordered):
        end = _run_end(ordered, at)
        step = ordered[at + 1] - ordered[at] if end > at else 1
        found.append(FrameRange(first=ordered[at], last=ordered[end], step=step))
        at = end + 1
    return tuple(found)


def _run_end(ordered: list[int], at: int) -> int:
    """Index of the last frame of the run that begins at `at`; a run of two with a gap is left as two single frames."""
    if at + 1 == len(ordered):
        return at
    step = ordered[at + 1] - ordered[at]
    end = at + 1
    while end + 1 < len(ordered) and ordered[end + 1] - ordered[end] == step:
        end += 1
    return end if step == 1 or end - at >= 2 else at


class Kind(StrEnum):
    """What an attempt is for."""

    INSPECT = "inspect"
    SAMPLE = "sample"
    PROBE = "probe"
    RENDER = "render"


class Renderer(StrEnum):
    BLENDER = "blender"


class PictureFormat(StrEnum):
    PNG = "png"


class Picture(Value):
    """What a finished frame must be: exactly this many pixels, in this format."""

    width: Annotated[int, Field(ge=1, le=32_768)]
    height: Annotated[int, Field(ge=1, le=32_768)]
    format: PictureFormat = PictureFormat.PNG
    bits: Annotated[int, Field(ge=8, le=16)] = 8


LEAST_SIDE = 4
"""Blender's own least width and height, before any percentage; our render driver takes no less."""


class RenderSettings(Value):
    """What the renter asks to differ from the file; None leaves the file's own setting."""

    width: Annotated[int, Field(ge=1, le=32_768)] | None = None
    height: Annotated[int, Field(ge=1, le=32_768)] | None = None
    percentage: Annotated[int, Field(ge=1, le=100)] | None = None
    samples: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    camera: Label | None = None
    scene: Label | None = None
    gpu: bool = False
    """Frames may also be rendered on GPUs. Their pixels differ a little from a CPU's, so it is for the renter to allow."""
    changes: Annotated[tuple[Change, ...], Field(max_length=16)] = ()
    """Made to the opened file."""


class Limits(Value):
    """`max_cost` in micro-credits, compared once, when a quote is made; `deadline` in UTC."""

    max_cost: Annotated[int, Field(ge=1, le=10**18)] | None = None
    deadline: AwareDatetime | None = None


class Audience(StrEnum):
    """Lenders whom a renter lets render."""

    OWN = "own"
    """The renter's own machines."""
    NAMED = "named"
    """Those he names, by account or by agent."""
    TRUSTED = "trusted"
    """With a history of verified frames (the scheduler's domain.standing)."""
    ANYONE = "anyone"


class Order(StrEnum):
    FORWARD = "forward"
    PREVIEW = "preview"
    """First and last, the middle, then filling in."""


class Feasibility(StrEnum):
    FEASIBLE = "feasible"
    TIGHT = "tight"
    """If nothing goes wrong, or the work turns out as small as it may be."""
    IMPOSSIBLE = "impossible"
    """Too late even if the whole farm did nothing else."""


class Outlook(Value):
    """What the farm, as it is when the work is estimated, makes of a deadline. `earliest`: if the job were begun as soon
    as it may be, at once or at its scheduled start."""

    feasibility: Feasibility
    deadline: AwareDatetime
    earliest: AwareDatetime
    right_of_way: bool = True
    """Before other renters' bids, where it is in reach. Not when it was set, or moved nearer, after the price was accepted: then
    it orders its renter's own jobs."""


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Finding(Value):
    """One thing inspection has to say, with its remedy in words a renter understands."""

    code: Label
    severity: Severity
    text: Text
    fix: Text = ""
    change: Change | None = None
    """What the farm itself can do about it, at the renter's word."""


class Acceptance(Value):
    """What work a lender takes; empty and None: any. His agent looks again at each assignment, so that nobody else has to be
    believed."""

    minimum_price: Micro = 0
    """Micro-credits per WU."""
    engines: Annotated[tuple[Label, ...], Field(max_length=16)] = ()
    """As Blender names them."""
    memory_bytes: Bytes | None = None
    """The most a scene may need."""
    renters: Annotated[tuple[Id, ...], Field(max_length=100)] = ()
    """Accounts."""
    by_hand: bool = False
    """Of all that, only what the lender has said yes to."""


class Benchmark(Value):
    """One render of the frame that ships with the render image, whose cost on the reference machine is fixed at
    `contracts.work.BENCHMARK_MICRO_WU`."""

    cpu_micros: Annotated[int, Field(ge=1_000, le=10**12)]
    wall_micros: Annotated[int, Field(ge=1_000, le=10**12)]


class Gpu(Value):
    """`id` is the driver's own name of it (NVIDIA: its UUID), `benchmark` the GPU image's frame on it; without both it idles."""

    name: Label
    memory_bytes: Bytes
    id: Label = ""
    benchmark: Benchmark | None = None


class Hardware(Value):
    """As the agent says; believed for placement, never for money."""

    cores: Annotated[float, Field(gt=0, le=4_096)]
    memory_bytes: Bytes
    gpus: Annotated[tuple[Gpu, ...], Field(max_length=16)] = ()
    system: Label = ""


class Knot(Value):
    frame: Frame
    micro_wu: Micro


_FRAME = attrgetter("frame")


class Curve(Value):
    """Work per frame over the timeline: straight lines between sampled frames, level beyond the ends."""

    knots: Annotated[tuple[Knot, ...], Field(min_length=1, max_length=1_000)]

    def wu(self, frame: int) -> int:
        """Micro-WU of one frame, rounded down; integers only, so that every service finds the same sum."""
        at = bisect_right(self.knots, frame, key=_FRAME)
        if at in (0, len(self.knots)):
            return self.knots[max(0, at - 1)].micro_wu
        before, after = self.knots[at - 1], self.knots[at]
        span, into = after.frame - before.frame, frame - before.frame
        return (before.micro_wu * (span - into) + after.micro_wu * into) // span


class Band(Value):
    """An interval and its middle; the unit is that of the field it stands in."""

    low: Micro
    expected: Micro
    high: Micro


class PriceLine(Value):
    """One line of a quote or invoice in micro-credits."""

    code: Label
    text: Text
    amount_micro: Micro
