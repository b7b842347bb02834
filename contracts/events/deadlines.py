"""What a job's deadline comes to."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from contracts.events.event import Event
from contracts.values import Band, Id


class DeadlineMissed(Event):
    """The deadline is over and the job is not: `lacking` frames are not stored yet. Told once for each deadline."""

    job: Id
    account: Id
    deadline: AwareDatetime
    lacking: Annotated[int, Field(ge=0)]
    remaining_seconds: Band | None = None
    """From when it was told, at the speed of who is on it then."""
