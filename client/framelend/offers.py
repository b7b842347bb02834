"""What a lender who chooses by hand is offered, typed, and how he answers."""

from collections.abc import Sequence
from decimal import Decimal

from framelend.models import Download, Finding, Interval, Model
from framelend.transport import Transport


class OfferLine(Model):
    """`work` and `pays` are None before there is an estimate. `answer`: none, accepted, rejected; `accepted_for` names machines,
    or none when the yes is for all."""

    job: str
    renter: str
    frames: int
    engine: str
    memory_bytes: int
    bundle_bytes: int
    price_per_wu: Decimal
    work: Interval | None
    pays: Decimal | None
    agents: list[str]
    answer: str
    accepted_for: list[str]


class Offer(OfferLine):
    """`picture`: whether there is a small picture to look at."""

    blend: str
    files: int
    unpacked_bytes: int
    width: int
    height: int
    samples: int
    findings: list[Finding]
    picture: bool


def listed(farm: Transport) -> list[OfferLine]:
    return farm.call(list[OfferLine], "GET", "/v1/offers")


def one(farm: Transport, job: str) -> Offer:
    return farm.call(Offer, "GET", f"/v1/offers/{job}")


def accepted(farm: Transport, job: str, agents: Sequence[str]) -> Offer:
    return farm.call(Offer, "POST", f"/v1/offers/{job}/accept", {"agents": list(agents)})


def rejected(farm: Transport, job: str) -> Offer:
    return farm.call(Offer, "POST", f"/v1/offers/{job}/reject")


def picture(farm: Transport, job: str) -> Download:
    return farm.call(Download, "GET", f"/v1/offers/{job}/picture")
