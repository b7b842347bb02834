"""Work offered to a lender who chooses by hand, job by job."""

from typing import Annotated

from pydantic import Field

from contracts.events.event import Event
from contracts.values import Band, Bytes, Frame, Id, Label, Micro, Text


class JobOffered(Event):
    """Machines of this lender could render this job if he says yes. Absolute, and told again when more is known; `revision`
    counts per lender and job, together with `OfferWithdrawn`. What inspection found and the bundle holds, intake knows itself."""

    owner: Id
    job: Id
    revision: Annotated[int, Field(ge=1)]
    renter: Id
    agents: Annotated[tuple[Id, ...], Field(max_length=64)] = ()
    """His machines that could take it, when they were last heard."""
    bundle_bytes: Bytes
    frames: Annotated[int, Field(ge=0)]
    """In all."""
    engine: Label
    memory_bytes: Bytes
    price: Micro
    """Micro-credits per WU that the renter bids."""
    micro_wu: Band | None = None
    """Of all frames that are not sampled; None before there is an estimate."""
    thumbnail: Frame | None = None
    """A sampled frame that is stored; a small picture of it may be shown to him."""


class OfferWithdrawn(Event):
    """Nothing of the job is given out any more, whatever the lender said."""

    owner: Id
    job: Id
    revision: Annotated[int, Field(ge=1)]
    reason: Text = ""


class OfferAnswered(Event):
    """What the lender said to an offer; of several answers the one with the highest revision counts. A yes is for these machines
    of his, or, when none is named, for all of them."""

    owner: Id
    job: Id
    revision: Annotated[int, Field(ge=1)]
    accepted: bool
    agents: Annotated[tuple[Id, ...], Field(max_length=64)] = ()
