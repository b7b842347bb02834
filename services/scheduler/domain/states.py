"""The machines of the scheduler as literal tables, and the one function that makes a move.

Theory. A job goes from its submission to its end in one line, with four ways out: paused (and back to where it was), cancelled,
failed, and, while quoted, declined or expired (which is cancelled with that reason). A chunk is queued until an attempt claims it
and queued again with whatever an attempt leaves undone. An agent is online while it is heard and offers slots.
From `rendering` it may go to `requoting`, when the work has left its price's band, and back with the renter's answer.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar


class JobState(StrEnum):
    SUBMITTED = "submitted"
    """Waits for the sampling deposit to be held."""
    INSPECTING = "inspecting"
    """A house agent surveys the file."""
    ESTIMATING = "estimating"
    """A few real frames are rendered to learn what the others will cost."""
    QUOTED = "quoted"
    """Waits for the renter and for the accepted price to be held."""
    QUEUED = "queued"
    """Paid for; no frame has been given out yet."""
    RENDERING = "rendering"
    REQUOTING = "requoting"
    """The work has left the quote's band: frames under way are finished, the renter is asked about the rest."""
    PACKAGING = "packaging"
    """Every frame is stored; storage makes the archive and the film."""
    COMPLETED = "completed"
    PURGED = "purged"
    PAUSED = "paused"
    """On the renter's word; goes back to where it was."""
    CANCELLED = "cancelled"
    FAILED = "failed"


class ChunkState(StrEnum):
    QUEUED = "queued"
    """Nobody's; has frames that are not stored."""
    ASSIGNED = "assigned"
    """An attempt holds it, nothing has been heard of it yet."""
    RENDERING = "rendering"
    """The attempt has shown a sign of life."""
    COMPLETED = "completed"
    """Every frame is stored, or the answer that was asked for has come."""
    CLOSED = "closed"
    """Its job ended before."""


class AgentState(StrEnum):
    ENROLLED = "enrolled"
    """Has a broker user and has not been heard of."""
    ONLINE = "online"
    DRAINING = "draining"
    """Heard, but offers no slot."""
    OFFLINE = "offline"
    SUSPENDED = "suspended"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"


class ChoiceState(StrEnum):
    """Of a lender who chooses by hand, about one job."""

    ASKED = "asked"
    """Waits for his yes or no."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    OVER = "over"
    """Nothing of the job is given out any more."""


class Access(StrEnum):
    """Of an agent to the broker."""

    ASKED = "asked"
    """To be let in for the first time."""
    OPEN = "open"
    RENEWING = "renewing"
    """To be let in with another secret."""
    CLOSING = "closing"
    """To be shut out."""
    CLOSED = "closed"


_J, _C, _A = JobState, ChunkState, AgentState
_OUT = frozenset({_J.PAUSED, _J.CANCELLED, _J.FAILED})

JOB_MOVES: Mapping[JobState, frozenset[JobState]] = MappingProxyType(
    {
        _J.SUBMITTED: frozenset({_J.INSPECTING}) | _OUT,
        _J.INSPECTING: frozenset({_J.ESTIMATING}) | _OUT,
        _J.ESTIMATING: frozenset({_J.QUOTED}) | _OUT,
        _J.QUOTED: frozenset({_J.QUEUED}) | _OUT,
        _J.QUEUED: frozenset({_J.RENDERING, _J.PACKAGING}) | _OUT,
        _J.RENDERING: frozenset({_J.PACKAGING, _J.REQUOTING}) | _OUT,
        _J.REQUOTING: frozenset({_J.RENDERING}) | _OUT,
        _J.PACKAGING: frozenset({_J.COMPLETED}),
        _J.COMPLETED: frozenset({_J.PURGED}),
        _J.PURGED: frozenset(),
        _J.PAUSED: frozenset(
            {
                _J.SUBMITTED,
                _J.INSPECTING,
                _J.ESTIMATING,
                _J.QUOTED,
                _J.QUEUED,
                _J.RENDERING,
                _J.REQUOTING,
                _J.CANCELLED,
                _J.FAILED,
            }
        ),
        _J.CANCELLED: frozenset({_J.PURGED}),
        _J.FAILED: frozenset({_J.PURGED}),
    }
)
CHUNK_MOVES: Mapping[ChunkState, frozenset[ChunkState]] = MappingProxyType(
    {
        _C.QUEUED: frozenset({_C.ASSIGNED, _C.COMPLETED, _C.CLOSED}),
        _C.ASSIGNED: frozenset({_C.QUEUED, _C.RENDERING, _C.COMPLETED, _C.CLOSED}),
        _C.RENDERING: frozenset({_C.QUEUED, _C.COMPLETED, _C.CLOSED}),
        _C.COMPLETED: frozenset(),
        _C.CLOSED: frozenset(),
    }
)
AGENT_MOVES: Mapping[AgentState, frozenset[AgentState]] = MappingProxyType(
    {
        _A.ENROLLED: frozenset({_A.ONLINE, _A.DRAINING, _A.REVOKED, _A.SUSPENDED, _A.QUARANTINED}),
        _A.ONLINE: frozenset({_A.DRAINING, _A.OFFLINE, _A.SUSPENDED, _A.QUARANTINED, _A.REVOKED}),
        _A.DRAINING: frozenset({_A.ONLINE, _A.OFFLINE, _A.SUSPENDED, _A.QUARANTINED, _A.REVOKED}),
        _A.OFFLINE: frozenset({_A.ONLINE, _A.DRAINING, _A.SUSPENDED, _A.QUARANTINED, _A.REVOKED}),
        _A.SUSPENDED: frozenset({_A.OFFLINE, _A.REVOKED}),
        _A.QUARANTINED: frozenset({_A.OFFLINE, _A.REVOKED}),
        _A.REVOKED: frozenset(),
    }
)
ACCESS_MOVES: Mapping[Access, frozenset[Access]] = MappingProxyType(
    {
        Access.ASKED: frozenset({Access.OPEN, Access.CLOSING}),
        Access.OPEN: frozenset({Access.RENEWING, Access.CLOSING}),
        Access.RENEWING: frozenset({Access.OPEN, Access.CLOSING}),
        Access.CLOSING: frozenset({Access.CLOSED, Access.RENEWING}),
        Access.CLOSED: frozenset({Access.RENEWING}),  # quarantine may end, revocation does not
    }
)
CHOICE_MOVES: Mapping[ChoiceState, frozenset[ChoiceState]] = MappingProxyType(
    {
        ChoiceState.ASKED: frozenset({ChoiceState.ACCEPTED, ChoiceState.REJECTED, ChoiceState.OVER}),
        ChoiceState.ACCEPTED: frozenset({ChoiceState.REJECTED, ChoiceState.OVER}),
        ChoiceState.REJECTED: frozenset({ChoiceState.ACCEPTED, ChoiceState.OVER}),
        ChoiceState.OVER: frozenset({ChoiceState.ASKED, ChoiceState.ACCEPTED, ChoiceState.REJECTED}),  # the job is taken up again
    }
)

ENDED = frozenset({_J.PACKAGING, _J.COMPLETED, _J.PURGED, _J.CANCELLED, _J.FAILED})
"""Nothing more is given out for these jobs."""
WORKING = frozenset({_J.INSPECTING, _J.ESTIMATING, _J.QUEUED, _J.RENDERING})
"""Jobs that may have something to give out."""
HELD_UP = frozenset({_J.PAUSED, _J.REQUOTING})
"""Jobs of which nothing is given out for now."""
OPEN_CHUNK = frozenset({_C.QUEUED, _C.ASSIGNED, _C.RENDERING})
HELD_CHUNK = frozenset({_C.ASSIGNED, _C.RENDERING})
WELCOME = frozenset({Access.ASKED, Access.OPEN, Access.RENEWING})
"""There is to be a broker user."""
UNSETTLED = frozenset({Access.ASKED, Access.RENEWING, Access.CLOSING})
"""The broker may not have been told yet."""
HEARD_AGENT = frozenset({_A.ONLINE, _A.DRAINING})

S = TypeVar("S", bound=StrEnum)


class IllegalMove(Exception):
    """A machine was asked for a move that its table does not have; the text tells the story so far."""


def check(table: Mapping[S, frozenset[S]], what: str, now: S, to: S, story: str = "") -> None:
    """Raises IllegalMove unless the table has the move."""
    if to not in table[now]:
        raise IllegalMove(f"{what} is {now} and cannot become {to}; so far: {story or 'nothing'}")
