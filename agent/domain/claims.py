"""What a container says, read as the claims of an untrusted process: bounded lines, known shapes, frames of this assignment."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from contracts.values import Bytes, Frame, Label, Seconds, Text, Value

LINE_BYTES = 4_096
"""The driver's protocol promises shorter ones."""


class Hello(Value):
    event: Literal["hello"]
    protocol: Literal[2]
    blender: Label


class Opened(Value):
    event: Literal["opened"]
    autoexec_fail: bool = False


class Progress(Value):
    event: Literal["progress"]
    frame: Frame
    text: Label = ""
    remaining: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Seconds, by Blender's own guess, which may be anything."""


class FrameDone(Value):
    """Right behind the line come that many `bytes`: the picture's file. Its hashes are taken from them, never from words."""

    event: Literal["frame"]
    frame: Frame
    bytes: Bytes
    seconds: Seconds
    cpu_seconds: Seconds
    rss_bytes: Bytes = 0
    """The most memory the renderer had so far."""


class Complaint(Value):
    event: Literal["error"]
    code: Label
    frame: Frame | None = None
    text: Text = ""


class Done(Value):
    event: Literal["done"]


class Measured(Value):
    """One run of the benchmark frame."""

    event: Literal["benchmark"]
    cpu_seconds: Seconds
    seconds: Seconds


Claim = Hello | Opened | Progress | FrameDone | Complaint | Done | Measured
_ANY: TypeAdapter[Claim] = TypeAdapter(Annotated[Claim, Field(discriminator="event")])


class NonsenseClaim(Exception):
    """Not a line of the protocol; the text says what is wrong without repeating the line."""


def read_claim(line: bytes) -> Claim:
    """Raises NonsenseClaim."""
    if len(line) > LINE_BYTES:
        raise NonsenseClaim(f"a line of {len(line)} bytes")
    try:
        return _ANY.validate_json(line)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
        raise NonsenseClaim(f"{'.'.join(map(str, first['loc']))[:80]}: {first['msg'][:120]}") from None
