"""What others say of a job, folded into what its renter sees.

Theory. Facts arrive late, doubled and in any order. Each part of the view therefore has one rule for which of two facts stands:
a revision (state, charges), a version (estimate, quote, hold), or "the first and only" (inspection, failure, settlement, files).
Folding the same facts in any order gives the same view; a test shuffles and doubles them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from contracts.events import (
    AgentShare,
    CreditsHeld,
    DepositHeld,
    Event,
    FramesSealed,
    HoldRefused,
    JobCharged,
    JobEstimated,
    JobFailed,
    JobInspected,
    JobPackaged,
    JobProgressed,
    JobPurged,
    JobQuoted,
    JobSettled,
    JobStateChanged,
    QuoteExpired,
)
from contracts.shards import Shard
from services.intake.domain.jobs import Failure, Job, Progress, Quote, Refusal, Settlement


def folded(job: Job, event: Event) -> Job:
    """The view after this fact. Raises KeyError for an event that says nothing about a job's view."""
    return _RULES[type(event)](job, event)


def _state(job: Job, event: JobStateChanged) -> Job:
    if event.revision < job.state_revision:
        return job
    told = replace(job, state=event.state, reason=event.reason, state_revision=event.revision)
    return replace(told, outlook=event.outlook) if event.outlook else told


def _progress(job: Job, event: JobProgressed) -> Job:
    """A snapshot is newer when its state is, or in the same state when more is stored."""
    known = job.progress.stored if job.progress else 0
    if event.revision < job.state_revision or (event.revision == job.state_revision and event.stored < known):
        return job
    progress = Progress(max(event.stored, known), event.total, event.remaining_seconds, _shares(job, event))
    return replace(job, state=event.state, reason=event.reason, state_revision=event.revision, progress=progress)


def _shares(job: Job, event: JobProgressed) -> tuple[AgentShare, ...]:
    """Of the agents that this shard does not hear, what they have in hand stays as their own shard said it last."""
    if event.shard is None or event.shards is None:
        return event.agents
    hears, before = (
        Shard(event.shard, event.shards).hears,
        {one.agent: one for one in (job.progress.agents if job.progress else ())},
    )
    return tuple(one if hears(one.agent) else _in_hand(one, before.get(one.agent)) for one in event.agents)


def _in_hand(share: AgentShare, before: AgentShare | None) -> AgentShare:
    return share if before is None else share.model_copy(update={"frames": before.frames, "under_way": before.under_way})


def _inspected(job: Job, event: JobInspected) -> Job:
    seen = replace(job, accepted_file=event.accepted, findings=event.findings, facts=event.facts, frames=event.frames)
    return replace(seen, support=event.support)


def _estimated(job: Job, event: JobEstimated) -> Job:
    if event.version < job.estimate_version:
        return job
    return replace(job, estimate_version=event.version, seconds=event.seconds)


def _quoted(job: Job, event: JobQuoted) -> Job:
    if job.quote is not None and event.version <= job.quote.version:
        return job
    firm = Quote(
        event.version, event.price_micro, event.lines, event.micro_wu, event.seconds, event.expires_at, event.within_max_cost,
        event.outlook, event.reason, event.left_frames, event.left_micro, event.left_before_micro,
    )  # fmt: skip
    return replace(job, quote=firm, outlook=None)


def _expired(job: Job, event: QuoteExpired) -> Job:
    return replace(job, expired_version=max(job.expired_version, event.version))


def _deposit(job: Job, event: DepositHeld) -> Job:
    refusal = None if job.refusal and job.refusal.version == 0 else job.refusal
    return replace(job, deposit_micro=event.amount_micro, refusal=refusal)


def _held(job: Job, event: CreditsHeld) -> Job:
    if event.version < job.held_version:
        return job
    refusal = job.refusal if job.refusal and job.refusal.version > event.version else None
    return replace(job, held_version=event.version, held_micro=event.amount_micro, refusal=refusal)


def _refused(job: Job, event: HoldRefused) -> Job:
    held = (event.version == 0 and job.deposit_micro) or (event.version and event.version <= job.held_version)
    if held or (job.refusal is not None and event.version < job.refusal.version):
        return job
    return replace(job, refusal=Refusal(event.version, event.needed_micro, event.available_micro, event.text))


def _charged(job: Job, event: JobCharged) -> Job:
    if event.revision <= job.charge_revision:
        return job
    final = job.settlement.charged_micro if job.settlement else event.charged_micro
    return replace(job, charge_revision=event.revision, charged_micro=final, charged_frames=event.frames)


def _settled(job: Job, event: JobSettled) -> Job:
    settlement = Settlement(event.outcome, event.held_micro, event.charged_micro, event.released_micro, event.lines)
    return replace(job, settlement=settlement, charged_micro=event.charged_micro)


def _failed(job: Job, event: JobFailed) -> Job:
    return replace(job, failure=Failure(event.code, event.reason, event.hint, event.log_tail))


def _sealed(job: Job, event: FramesSealed) -> Job:
    return replace(job, sealed=event.count)


def _packaged(job: Job, event: JobPackaged) -> Job:
    return job if job.purged else replace(job, files=event.files, files_until=event.until)


def _purged(job: Job, event: JobPurged) -> Job:
    return replace(job, purged=True, files=(), files_until=None)


_RULES: Mapping[type[Event], Callable[[Job, Any], Job]] = MappingProxyType(
    {
        JobStateChanged: _state,
        JobProgressed: _progress,
        JobInspected: _inspected,
        JobEstimated: _estimated,
        JobQuoted: _quoted,
        QuoteExpired: _expired,
        DepositHeld: _deposit,
        CreditsHeld: _held,
        HoldRefused: _refused,
        JobCharged: _charged,
        JobSettled: _settled,
        JobFailed: _failed,
        FramesSealed: _sealed,
        JobPackaged: _packaged,
        JobPurged: _purged,
    }
)
