"""Work a lender may say yes or no to: what the scheduler told of it, and what he said.

The scheduler asks and withdraws, by one revision per lender and job, and asks again should the job be taken up again; the answer
and its revision are intake's own. An offer that
was withdrawn before it was heard of is remembered, so that the order in which the two come does not matter.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from contracts.events import Event, JobOffered, OfferAnswered, OfferWithdrawn
from services.intake.domain.refusals import Refused, Why

MOST_ACCEPTED = 100
"""Of one lender, at a time."""


class Answer(StrEnum):
    NONE = "none"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Offer:
    owner: str
    job: str
    revision: int = 0
    told: JobOffered | None = None
    """None while only its end was heard of."""
    withdrawn: str = ""
    ended_at: datetime | None = None
    answer: Answer = Answer.NONE
    agents: tuple[str, ...] = ()
    """Whom the yes is for; empty: every machine of his."""
    answer_revision: int = 0


def id_of(owner: str, job: str) -> str:
    return f"{owner}:{job}"


def offered(offer: Offer | None, event: JobOffered) -> Offer:
    known = offer or Offer(event.owner, event.job)
    if event.revision <= known.revision:
        return known
    return replace(known, revision=event.revision, told=event, withdrawn="", ended_at=None)


def withdrawn(offer: Offer | None, event: OfferWithdrawn, now: datetime) -> Offer:
    known = offer or Offer(event.owner, event.job)
    if event.revision <= known.revision:
        return known
    return replace(known, revision=event.revision, withdrawn=event.reason or "the job has ended", ended_at=now)


def answered(offer: Offer, accept: bool, agents: tuple[str, ...]) -> tuple[Offer, list[Event]]:
    """The same answer again changes nothing. Raises Refused when it is too late."""
    if offer.ended_at is not None or offer.told is None:
        raise Refused(Why.CONFLICT, "offer-withdrawn", f"Nothing is left to do: {offer.withdrawn}.", "See: GET /v1/offers")
    answer, named = (Answer.ACCEPTED, tuple(sorted(set(agents)))) if accept else (Answer.REJECTED, ())
    if (answer, named) == (offer.answer, offer.agents):
        return offer, []
    now_is = replace(offer, answer=answer, agents=named, answer_revision=offer.answer_revision + 1)
    said = OfferAnswered(owner=offer.owner, job=offer.job, revision=now_is.answer_revision, accepted=accept, agents=named)
    return now_is, [said]


def too_many() -> Refused:
    text = f"You have accepted {MOST_ACCEPTED} jobs that are not over yet."
    return Refused(Why.CONFLICT, "too-many-accepted", text, "Reject one of them, or wait until one ends.")
