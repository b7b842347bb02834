"""What an attempt takes of a lender's machine while it renders, as its agent measures it."""

from typing import Annotated

from pydantic import Field

from contracts.events.event import Event
from contracts.values import Bytes, Id, Seconds, Value


class GpuUse(Value):
    """Of the GPU the attempt renders on, as NVIDIA's driver tells it."""

    utilisation_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
    memory_bytes: Bytes
    celsius: Annotated[float, Field(ge=-100, le=300, allow_inf_nan=False)]


class Resources(Value):
    """Of one attempt. `cores` is its CPU use since the sample before, in whole cores; `memory_bytes` without what the kernel
    could take back at once; `network_*` is what the agent itself moved for it, since the container has no network."""

    cpu_seconds: Seconds = 0.0
    cores: Annotated[float, Field(ge=0, le=4_096, allow_inf_nan=False)] = 0.0
    memory_bytes: Bytes = 0
    memory_peak_bytes: Bytes = 0
    """Its output lies in its memory and counts."""
    disk_read_bytes: Bytes = 0
    disk_written_bytes: Bytes = 0
    network_received_bytes: Bytes = 0
    network_sent_bytes: Bytes = 0
    gpu: GpuUse | None = None


class ResourcesSampled(Event):
    """At most one in 10 s for each attempt that renders, and one with `last` when its container has ended. A lender's claim:
    shown to people, and believed of memory only downwards and within bounds."""

    job: Id
    chunk: Id
    attempt: Id
    resources: Resources
    last: bool = False
