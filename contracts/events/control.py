"""What people want of a job, and the operator of the whole farm: said by intake, the one publisher, which counts the revisions.

Theory. Events come late, twice and in any order, so each says the whole of what is wanted: whoever hears the highest revision
needs none of the others. Only frames once left out and tries once forgiven are never taken back.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from contracts.events.event import Event
from contracts.values import MAX_RANGES, Id, Label, Ranges, Value

PRIORITIES = 100


class Action(StrEnum):
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


class Wishes(Value):
    """Of a job's owner (or an operator), as they stand beside running, pausing and cancelling."""

    price_per_wu_micro: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """The bid, until the work is estimated; from then on the price is made and firm. None: as submitted."""
    deadline: AwareDatetime | None = None
    start_at: AwareDatetime | None = None
    """No frame is given out for rendering before; inspection, samples and the price come at once."""
    priority: Annotated[int, Field(ge=-PRIORITIES, le=PRIORITIES)] = 0
    """Among the jobs of the same renter at the same bid: the highest first."""
    left_out: Annotated[Ranges, Field(max_length=MAX_RANGES)] = ()
    """Frames that are not wanted any more: they are not charged, and the job is complete without them. Only grows."""
    retries: Annotated[int, Field(ge=0)] = 0
    """How often what failed so far was to be forgiven: frames have all their tries again, agents are let back to the job."""


class JobControlled(Event):
    """The renter (or an operator) steers a job. `revision` counts per job at intake, the one publisher; older ones are
    ignored, and a cancel of a job not yet heard of is remembered. `action` is what stands: a job whose `wishes` change is told to
    resume again, or to pause again."""

    job: Id
    account: Id
    revision: Annotated[int, Field(ge=1)]
    action: Action
    by: Label
    wishes: Wishes | None = None
    """None: nothing is said of them, those that stand go on."""


class FarmOrder(StrEnum):
    """Of the operator to the whole farm."""

    RESUME = "resume"
    """Work as usual."""
    PAUSE = "pause"
    """Nothing more is given out; what is in hand is finished."""
    STOP = "stop"
    """Emergency: every container stops at once; finished frames are kept, and nothing is given out."""


class FarmControlled(Event):
    """The operator steers the whole farm. `revision` is counted at intake; older ones are ignored. The same order again is
    carried out again."""

    order: FarmOrder
    revision: Annotated[int, Field(ge=1)]
    by: Label
    at: AwareDatetime


class FarmChanged(Event):
    """Each machine is told the operator's order to the farm: those that are heard when it is given, others when they come back.
    A machine that hears `stop` ends every container it has, at once."""

    agent: Id
    order: FarmOrder
    revision: int
