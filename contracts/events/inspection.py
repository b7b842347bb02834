"""What was found in a .blend, and what the farm makes of it."""

from typing import Annotated

from pydantic import Field

from contracts.changes import Support
from contracts.events.event import Event
from contracts.grants import Grant
from contracts.values import Bytes, Finding, Frame, Id, Label, Ranges, Text, Value

Names = Annotated[tuple[Label, ...], Field(max_length=200)]


class SequenceGap(Value):
    """Scene frames at which an image sequence has no picture."""

    name: Label
    frames: Annotated[Ranges, Field(max_length=100)]


class Shot(Value):
    """A stretch of the timeline with one camera and the same things in the picture. Of equal `look`: the same again."""

    first: Frame
    last: Frame
    look: Annotated[int, Field(ge=0, le=1_000)]


class SceneFacts(Value):
    """What the survey read in the file; facts only, bounded, from an untrusted process."""

    blender_version: Label
    newer_than_renderer: bool = False
    engine: Label
    scenes: Names = ()
    cameras: Names = ()
    has_camera: bool = True
    frame_start: Frame
    frame_end: Frame
    frame_step: Annotated[int, Field(ge=1, le=1_048_574)] = 1
    fps_milli: Annotated[int, Field(ge=1, le=10_000_000)] = 24_000
    width: Annotated[int, Field(ge=1, le=1_000_000)]
    height: Annotated[int, Field(ge=1, le=1_000_000)]
    percentage: Annotated[int, Field(ge=1, le=32_767)] = 100
    samples: Annotated[int, Field(ge=0, le=2**31)] = 0
    denoise: bool = False
    denoiser: Label = ""
    """As Blender names it; `unknown` when this Blender does not have the one the file names."""
    device: Label = ""
    """Of Cycles: CPU or GPU."""
    is_movie: bool = False
    cropped: bool = False
    """Renders a region only and crops the picture to it."""
    multiview: bool = False
    """Stereo or several views: more than one picture per frame."""
    sequencer: bool = False
    """Renders the strips of its video sequencer instead of the scene."""
    file_outputs: Names = ()
    """File Output nodes of the compositor that would write beside the picture."""
    missing: Annotated[tuple[Text, ...], Field(max_length=200)] = ()
    """Files outside the bundle or absent that rendering would use: "kind: path"."""
    missing_unused: Annotated[tuple[Text, ...], Field(max_length=200)] = ()
    missing_blocks: Names = ()
    """Linked data-blocks that rendering would use and that their library does not have."""
    gaps: Annotated[tuple[SequenceGap, ...], Field(max_length=200)] = ()
    """Within the file's own range."""
    scripts: Names = ()
    """Texts registered to run at load and Python drivers: none of them will run."""
    addons: Names = ()
    """What rendering would use and only an add-on can evaluate."""
    addon_data: Names = ()
    """Add-ons that have left settings in the file; rendering may do without."""
    simulations: Names = ()
    """Without a bake: "kind on object"."""
    simulated_from: Frame | None = None
    """The first frame of the earliest of them."""
    last_key: Frame | None = None
    """The last frame with a key; None without keys, or where something else also moves."""
    shots: Annotated[tuple[Shot, ...], Field(max_length=100)] = ()
    """Empty where nothing changes, or too much: what the keys of cameras' markers and of visibility say."""
    packed_bytes: Bytes = 0
    memory_bytes: Bytes = 0
    """Estimated need of one frame."""


class InspectionReported(Event):
    """The house agent has surveyed the file. `error` holds Blender's words when it could not be opened, and then no facts."""

    grant: Grant
    facts: SceneFacts | None = None
    error: Text | None = None
    cpu_micros: Annotated[int, Field(ge=0, le=10**12)] = 0


class JobInspected(Event):
    """The scheduler's verdict on the file; `frames` is what will be rendered, resolved against the file's range."""

    job: Id
    account: Id
    accepted: bool
    """The job goes on as it is."""
    findings: Annotated[tuple[Finding, ...], Field(max_length=100)]
    facts: SceneFacts | None = None
    frames: Annotated[Ranges, Field(max_length=10_000)] = ()
    support: Support | None = None
