"""The story of a job: one entry per fact, in words its renter understands; frames as ranges.

An entry's identity follows from the fact, so that a fact told twice is one entry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from contracts.changes import Support
from contracts.events import (
    CreditsHeld,
    DeadlineMissed,
    DepositHeld,
    Event,
    FramesRejected,
    FramesSealed,
    FramesStored,
    HoldRefused,
    JobCancelled,
    JobEstimated,
    JobFailed,
    JobInspected,
    JobPackaged,
    JobPurged,
    JobQuoted,
    JobRendered,
    JobSettled,
    JobStateChanged,
    QuoteExpired,
)
from contracts.values import Feasibility, Outlook, Ranges, count, frames, ranges
from services.intake.domain.credits import credit_text
from services.intake.domain.framelists import written

FEW = 3


@dataclass(frozen=True)
class Entry:
    """`identity` is unique in the farm; `data` is JSON."""

    identity: str
    job: str
    kind: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


def entry(event: Event) -> Entry:
    """Raises KeyError for an event that is no part of a job's story."""
    which, text, data = _TOLD[type(event)](event)
    job = str(event.correlation)
    return Entry(f"{job}:{event.key()}:{which}", job, event.key().rsplit(".", 1)[0], text, data)


def own(job: str, kind: str, which: str, text: str) -> Entry:
    """An entry about something intake itself decided."""
    return Entry(f"{job}:{kind}:{which}", job, kind, text)


Told = tuple[str, str, Mapping[str, Any]]
"""What tells this fact from others of its kind on the same job; the text; the data."""


def _state(event: JobStateChanged) -> Told:
    text = event.reason or f"The job is {event.state}."
    if event.outlook is not None:
        text = f"The deadline is {event.outlook.deadline:%Y-%m-%d %H:%M} UTC now.{_outlook(event.outlook)}"
    return str(event.revision), text, {"state": event.state, "revision": event.revision}


def _inspected(event: JobInspected) -> Told:
    verdict = "The file was inspected and can be rendered." if event.accepted else "The file cannot be rendered as it is."
    if event.support is Support.WITH_CHANGES:
        verdict += " The farm offers to change what is in the way." if not event.accepted else " The farm offers changes."
    return "", verdict, {"accepted": event.accepted, "findings": [finding.model_dump(mode="json") for finding in event.findings]}


def _estimated(event: JobEstimated) -> Told:
    outlook = event.outlook
    data = {"version": event.version, "outlook": outlook.model_dump(mode="json") if outlook else None}
    return str(event.version), f"Sample frames were rendered and the work is estimated.{_outlook(outlook)}", data


def _outlook(outlook: Outlook | None) -> str:
    if outlook is None:
        return ""
    words = {
        Feasibility.FEASIBLE: "The deadline can be kept",
        Feasibility.TIGHT: "The deadline is tight",
        Feasibility.IMPOSSIBLE: "The deadline cannot be kept",
    }
    when = f"begun without delay, the job could be done at {outlook.earliest:%Y-%m-%d %H:%M} UTC."
    own = "" if outlook.right_of_way else " It came after you accepted the price, so it orders only your own jobs."
    return f" {words[outlook.feasibility]}: {when}{own}"


def _missed(event: DeadlineMissed) -> Told:
    deadline = f"{event.deadline:%Y-%m-%d %H:%M}"
    data = {"deadline": event.deadline.isoformat(), "lacking": event.lacking}
    return (
        event.deadline.isoformat(),
        f"The deadline of {deadline} UTC is missed: {event.lacking} frames are not stored yet.",
        data,
    )


def _quoted(event: JobQuoted) -> Told:
    price = credit_text(event.price_micro)
    text = f"The price is {price} credits, firm."
    if event.version > 1:
        text = f"A new price, {price} credits in all, waits for your answer: {event.reason}."
    return str(event.version), text, {"version": event.version, "price": price}


def _expired(event: QuoteExpired) -> Told:
    text = "The quote expired; only sampling is charged."
    if event.version > 1:
        text = "The new price expired; the finished frames are charged at the old one."
    return str(event.version), text, {"version": event.version}


def _deposit(event: DepositHeld) -> Told:
    amount = credit_text(event.amount_micro)
    return "", f"{amount} credits are held for inspection and samples.", {"amount": amount}


def _held(event: CreditsHeld) -> Told:
    amount = credit_text(event.amount_micro)
    goes = "starts" if event.version == 1 else "goes on"
    return str(event.version), f"{amount} credits are held; the job {goes}.", {"version": event.version, "amount": amount}


def _refused(event: HoldRefused) -> Told:
    needed, there = credit_text(event.needed_micro), credit_text(event.available_micro)
    which = f"{event.version}:{event.needed_micro}:{event.available_micro}"
    return which, event.text, {"version": event.version, "needed": needed, "available": there}


def _stored(event: FramesStored) -> Told:
    found = ranges(one.frame for one in event.frames)
    return f"{event.attempt}:{event.generation}:{written(found)}", _frames(found, "stored"), _where(event, found)


def _rejected(event: FramesRejected) -> Told:
    found = ranges(one.frame for one in event.frames)
    reasons = [{"frame": one.frame, "code": one.code, "text": one.text} for one in event.frames]
    which = f"{event.attempt}:{event.generation}:{written(found)}"
    return which, _frames(found, "rejected and rendered again"), {**_where(event, found), "reasons": reasons}


def _sealed(event: FramesSealed) -> Told:
    return "", f"The job is closed with {event.count} frames.", {"count": event.count, "outcome": event.outcome}


def _rendered(event: JobRendered) -> Told:
    return "", "Every frame is stored.", {}


def _failed(event: JobFailed) -> Told:
    return "", event.reason, {"code": event.code, "hint": event.hint, "log_tail": event.log_tail}


def _cancelled(event: JobCancelled) -> Told:
    return "", event.reason or "The job was cancelled.", {}


def _packaged(event: JobPackaged) -> Told:
    names = [file.name for file in event.files]
    return "", f"Ready to download: {', '.join(names) or 'frames'}.", {"files": names, "until": event.until.isoformat()}


def _purged(event: JobPurged) -> Told:
    return "", "The job's files were deleted at the end of their keeping time.", {}


def _settled(event: JobSettled) -> Told:
    charged, back = credit_text(event.charged_micro), credit_text(event.released_micro)
    return "", f"{charged} credits were charged, {back} went back to your balance.", {"charged": charged, "released": back}


def _frames(found: Ranges, what: str) -> str:
    """A few are named one by one, as people do."""
    number = count(found)
    names = ", ".join(str(frame) for frame in frames(found)) if number <= FEW else written(found).replace(",", ", ")
    return f"Frame{'s' if number > 1 else ''} {names} {what}."


def _where(event: FramesStored | FramesRejected, found: Ranges) -> Mapping[str, Any]:
    return {"frames": written(found), "agent": event.agent, "kind": event.kind.value}


_TOLD: Mapping[type[Event], Callable[[Any], Told]] = MappingProxyType(
    {
        JobStateChanged: _state,
        JobInspected: _inspected,
        JobEstimated: _estimated,
        JobQuoted: _quoted,
        QuoteExpired: _expired,
        DepositHeld: _deposit,
        CreditsHeld: _held,
        HoldRefused: _refused,
        FramesStored: _stored,
        FramesRejected: _rejected,
        FramesSealed: _sealed,
        JobRendered: _rendered,
        DeadlineMissed: _missed,
        JobFailed: _failed,
        JobCancelled: _cancelled,
        JobPackaged: _packaged,
        JobPurged: _purged,
        JobSettled: _settled,
    }
)
