"""What may happen to an attempt, and what may have to be done about it: the two vocabularies of its machine."""

from dataclasses import dataclass

from agent.domain.attempt import Attempt, Ending
from agent.domain.evidence import UNSEEN, Host, Room
from contracts.events import Event, FrameUpload, ProbeMeasured, RenderedFrame

# --- what happens


@dataclass(frozen=True)
class BundleFetched:
    """It lies unpacked on our disk."""


@dataclass(frozen=True)
class BundleLost:
    ending: Ending


@dataclass(frozen=True)
class ContainerStarted:
    """`cpus`: cores it may use."""

    cpus: float = 1.0


@dataclass(frozen=True)
class Greeted:
    """Blender runs in it."""


@dataclass(frozen=True)
class SceneOpened:
    pass


@dataclass(frozen=True)
class Progressed:
    """`samples`: (done, of all), `remaining`: seconds of this frame; each None where the renderer does not tell."""

    text: str
    samples: tuple[int, int] | None = None
    remaining: float | None = None


@dataclass(frozen=True)
class CpuSeen:
    """Of the container so far, and what the machine had left for it, where the kernel tells."""

    micros: int
    room: Room | None = None


@dataclass(frozen=True)
class FrameTaken:
    """The picture was taken out of the container's reach and decodes completely."""

    picture: RenderedFrame


@dataclass(frozen=True)
class Probed:
    """A frame of a probe was rendered; only its cost counts."""

    measured: ProbeMeasured


@dataclass(frozen=True)
class ContainerMisbehaved:
    """It must be stopped for what it did: nonsense on stdout, a bad picture, a full disk."""

    ending: Ending


@dataclass(frozen=True)
class Complained:
    """The driver's own `error` event."""

    code: str
    frame: int | None
    text: str


@dataclass(frozen=True)
class Surveyed:
    """The report of an inspection, ready to be said."""

    report: Event


@dataclass(frozen=True)
class ContainerExited:
    code: int
    out_of_memory: bool
    log_tail: str
    memory_limit_bytes: int | None = None
    host: Host = UNSEEN


@dataclass(frozen=True)
class StoodStill:
    """The container that is being ended was found paused, by nobody's order of ours."""


@dataclass(frozen=True)
class ContainerLost:
    """There is none, or Docker does not know it any more."""

    ending: Ending


@dataclass(frozen=True)
class UploadsCame:
    uploads: tuple[FrameUpload, ...]


@dataclass(frozen=True)
class Uploaded:
    frame: int


@dataclass(frozen=True)
class UploadMissed:
    """This URL will not do any more; another must be asked for."""

    frame: int


@dataclass(frozen=True)
class Withdrawn:
    """Voided or cancelled by the scheduler."""

    text: str


@dataclass(frozen=True)
class Stopping:
    """This agent is going down now."""


@dataclass(frozen=True)
class Freeze:
    """The lender has his machine back, perhaps not for long."""


@dataclass(frozen=True)
class Thaw:
    """He has left it again."""


@dataclass(frozen=True)
class GiveBack:
    """He keeps it: what is not finished is for others. An interruption, in words that the farm may read."""

    text: str


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


Input = (
    BundleFetched
    | BundleLost
    | ContainerStarted
    | Greeted
    | SceneOpened
    | Progressed
    | CpuSeen
    | FrameTaken
    | Probed
    | ContainerMisbehaved
    | Complained
    | Surveyed
    | ContainerExited
    | StoodStill
    | ContainerLost
    | UploadsCame
    | Uploaded
    | UploadMissed
    | Withdrawn
    | Stopping
    | Freeze
    | Thaw
    | GiveBack
    | Tick
)


# --- what is to be done


@dataclass(frozen=True)
class FetchBundle:
    pass


@dataclass(frozen=True)
class StartContainer:
    pass


@dataclass(frozen=True)
class KillContainer:
    pass


@dataclass(frozen=True)
class FreezeContainer:
    """It stands still, with all it has in memory."""


@dataclass(frozen=True)
class ThawContainer:
    pass


@dataclass(frozen=True)
class DropBundle:
    """Stop fetching."""


@dataclass(frozen=True)
class Upload:
    upload: FrameUpload


@dataclass(frozen=True)
class Tell:
    event: Event


@dataclass(frozen=True)
class Freed:
    """The slot is free. `ready`: nothing that was told implies it, so readiness must be said."""

    ready: bool


@dataclass(frozen=True)
class Forget:
    """Pictures and memory of this attempt may go."""


Action = (
    FetchBundle | StartContainer | KillContainer | FreezeContainer | ThawContainer | DropBundle | Upload | Tell | Freed | Forget
)
Decision = tuple[Attempt, tuple[Action, ...]]
