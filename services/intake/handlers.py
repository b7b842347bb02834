"""What intake hears, one function per event: folded into what people see, told in the job's story, rung for those who wait."""

from collections.abc import Sequence

from contracts import events as e
from contracts.topology import INTAKE
from services.chassis.delivery import Received
from services.chassis.doorkeeper import Doorkeeper
from services.chassis.inbox import Inboxes
from services.chassis.verdicts import SenderFault
from services.intake.domain import agents as machines
from services.intake.domain import frames as bitmaps
from services.intake.domain import offers as work
from services.intake.domain import timeline as story
from services.intake.domain import uploads as sending
from services.intake.domain.jobs import Job
from services.intake.repository.bell import Bell
from services.intake.repository.frames import Fold
from services.intake.repository.lenders import FINAL
from services.intake.repository.memory import Memory

Outcomes = list[BaseException | None]


def routes(memory: Memory, doorkeeper: Doorkeeper) -> Inboxes:
    inboxes = Inboxes(INTAKE)
    _uploads(inboxes, memory)
    _before_the_start(inboxes, memory)
    _under_way(inboxes, memory)
    _at_the_end(inboxes, memory)
    _frames(inboxes, memory)
    _money(inboxes, memory)
    _agents(inboxes, memory, doorkeeper)
    _offers(inboxes, memory)
    return inboxes


def _uploads(inboxes: Inboxes, memory: Memory) -> None:
    @inboxes.on(e.PartsGranted)
    async def on_parts_granted(event: e.PartsGranted) -> None:
        await memory.answers.keep(f"parts:{event.upload}:{event.page}", event, event.seconds_valid)
        await memory.upload(event.upload, lambda upload, _: sending.granted(upload))

    @inboxes.on(e.BundleStored)
    async def on_bundle_stored(event: e.BundleStored) -> None:
        await memory.upload(event.upload, lambda upload, now: sending.stored(upload, event, now))

    @inboxes.on(e.BundleRejected)
    async def on_bundle_rejected(event: e.BundleRejected) -> None:
        await memory.upload(event.upload, lambda upload, _: sending.rejected(upload, event))

    @inboxes.on(e.DownloadsGranted)
    async def on_downloads_granted(event: e.DownloadsGranted) -> None:
        await memory.answers.keep(f"downloads:{event.request}", event, event.seconds_valid)
        memory.bell.ring(event.request)


def _before_the_start(inboxes: Inboxes, memory: Memory) -> None:
    @inboxes.on(e.DepositHeld)
    async def on_deposit_held(event: e.DepositHeld) -> None:
        await memory.fold_and_tell(event)

    @inboxes.on(e.HoldRefused)
    async def on_hold_refused(event: e.HoldRefused) -> None:
        await memory.fold_and_tell(event)

    @inboxes.on(e.JobInspected)
    async def on_job_inspected(event: e.JobInspected) -> None:
        await memory.fold_and_tell(event)

    @inboxes.on(e.JobEstimated)
    async def on_job_estimated(event: e.JobEstimated) -> None:
        await memory.fold_and_tell(event)

    @inboxes.on(e.JobQuoted)
    async def on_job_quoted(event: e.JobQuoted) -> None:
        await memory.fold_and_tell(event)

    @inboxes.on(e.QuoteExpired)
    async def on_quote_expired(event: e.QuoteExpired) -> None:
        await memory.fold_and_tell(event)

    @inboxes.on(e.CreditsHeld)
    async def on_credits_held(event: e.CreditsHeld) -> None:
        await memory.fold_and_tell(event)


def _under_way(inboxes: Inboxes, memory: Memory) -> None:
    @inboxes.on(e.JobStateChanged)
    async def on_job_state_changed(event: e.JobStateChanged) -> None:
        await memory.fold_and_tell(event)

    @inboxes.on(e.JobProgressed)
    async def on_job_progressed(event: e.JobProgressed) -> None:
        await memory.fold(event)

    @inboxes.on(e.DeadlineMissed)
    async def on_deadline_missed(event: e.DeadlineMissed) -> None:
        await memory.tell(event)

    @inboxes.on(e.JobRendered)
    async def on_job_rendered(event: e.JobRendered) -> None:
        await memory.tell(event)


def _at_the_end(inboxes: Inboxes, memory: Memory) -> None:
    @inboxes.on(e.JobFailed)
    async def on_job_failed(event: e.JobFailed) -> None:
        await memory.fold_and_tell(event)

    @inboxes.on(e.JobCancelled)
    async def on_job_cancelled(event: e.JobCancelled) -> None:
        await memory.tell(event)

    @inboxes.on(e.FramesSealed)
    async def on_frames_sealed(event: e.FramesSealed) -> None:
        await memory.fold_and_tell(event)

    @inboxes.on(e.JobPackaged)
    async def on_job_packaged(event: e.JobPackaged) -> None:
        await memory.fold_and_tell(event)

    @inboxes.on(e.JobPurged)
    async def on_job_purged(event: e.JobPurged) -> None:
        await memory.fold_and_tell(event)


def _frames(inboxes: Inboxes, memory: Memory) -> None:
    @inboxes.in_batches(e.FramesStored)
    async def on_frames_stored(batch: list[Received[e.FramesStored]]) -> Outcomes:
        facts = [received.event for received in batch]
        await memory.frames.fold_all([fold for fact in facts for fold in _stored(fact)])
        await memory.timeline.append([story.entry(fact) for fact in facts])
        _ring(memory.bell, [fact.job for fact in facts])
        return [None] * len(batch)

    @inboxes.in_batches(e.FramesCompleted)
    async def on_frames_completed(batch: list[Received[e.FramesCompleted]]) -> Outcomes:
        facts = [received.event for received in batch]
        known = await memory.jobs.rendering([fact.grant.job for fact in facts])
        jobs = {id: saved.state for id, saved in known.items()}
        await memory.frames.fold_all([fold for fact in facts for fold in _arriving(fact, jobs.get(fact.grant.job))])
        _ring(memory.bell, [fact.grant.job for fact in facts])
        return [None if fact.grant.job in jobs else SenderFault("the farm has no such job") for fact in facts]

    @inboxes.on(e.FramesRejected)
    async def on_frames_rejected(event: e.FramesRejected) -> None:
        await memory.frames.fold_all(_rejected(event))
        await memory.tell(event)


def _stored(fact: e.FramesStored) -> Sequence[tuple[str, int, Fold]]:
    found = bitmaps.by_bucket(one.frame for one in fact.frames)
    return [(fact.job, number, _adding(frames)) for number, frames in found.items()]


def _adding(frames: Sequence[int]) -> Fold:
    return lambda bucket: bitmaps.with_stored(bucket, frames)


def _arriving(fact: e.FramesCompleted, job: Job | None) -> Sequence[tuple[str, int, Fold]]:
    """Only frames of the job, and only from an agent that the scheduler says is at work on it: intake cannot check a grant."""
    if job is None or not bitmaps.at_work(job, fact.grant.agent):
        return []
    wanted = bitmaps.of_job(job, (one.frame for one in fact.frames))
    return [(fact.grant.job, number, _announcing(fact.grant.attempt, some)) for number, some in bitmaps.by_bucket(wanted).items()]


def _announcing(attempt: str, frames: Sequence[int]) -> Fold:
    return lambda bucket: bitmaps.with_arriving(bucket, attempt, frames)


def _rejected(fact: e.FramesRejected) -> Sequence[tuple[str, int, Fold]]:
    found = bitmaps.by_bucket(one.frame for one in fact.frames)
    return [(fact.job, number, _refusing(fact.attempt, frames)) for number, frames in found.items()]


def _refusing(attempt: str, frames: Sequence[int]) -> Fold:
    return lambda bucket: bitmaps.with_rejected(bucket, attempt, frames)


def _ring(bell: Bell, jobs: Sequence[str]) -> None:
    for job in set(jobs):
        bell.ring(job)


def _money(inboxes: Inboxes, memory: Memory) -> None:
    @inboxes.on(e.BalanceChanged)
    async def on_balance_changed(event: e.BalanceChanged) -> None:
        await memory.balances.put(event)

    @inboxes.on(e.JobCharged)
    async def on_job_charged(event: e.JobCharged) -> None:
        await memory.earnings.put(event.job, event.revision, event.agents)
        await memory.fold(event)

    @inboxes.on(e.JobSettled)
    async def on_job_settled(event: e.JobSettled) -> None:
        await memory.earnings.put(event.job, FINAL, event.agents)
        await memory.fold_and_tell(event)


def _agents(inboxes: Inboxes, memory: Memory, doorkeeper: Doorkeeper) -> None:
    @inboxes.on(e.AgentEnrolled)
    async def on_agent_enrolled(event: e.AgentEnrolled) -> None:
        await memory.agents.saved.update_or_add(event.agent, lambda agent, _: (machines.enrolled(agent, event), []))
        memory.bell.ring(f"agent:{event.agent}")

    @inboxes.on(e.AgentChanged)
    async def on_agent_changed(event: e.AgentChanged) -> None:
        known = await memory.agents.saved.update_or_add(event.agent, lambda agent, _: (machines.changed(agent, event), []))
        doorkeeper.heed(event.agent, known.state)
        memory.bell.ring(f"agent:{event.agent}")

    @inboxes.in_batches(e.ResourcesSampled)
    async def on_resources_sampled(batch: list[Received[e.ResourcesSampled]]) -> Outcomes:
        await memory.samples.put([(received.sender, received.event) for received in batch])
        return [None] * len(batch)

    @inboxes.on(e.AgentRevoked)
    async def on_agent_revoked(event: e.AgentRevoked) -> None:
        await memory.agents.saved.update_or_add(event.agent, lambda agent, _: (machines.revoked(agent, event), []))
        doorkeeper.heed(event.agent, "revoked")
        await memory.codes.forget(event.owner, event.agent)
        memory.bell.ring(f"agent:{event.agent}")


def _offers(inboxes: Inboxes, memory: Memory) -> None:
    @inboxes.on(e.JobOffered)
    async def on_job_offered(event: e.JobOffered) -> None:
        id = work.id_of(event.owner, event.job)
        await memory.offers.saved.update_or_add(id, lambda offer, _: (work.offered(offer, event), []))

    @inboxes.on(e.OfferWithdrawn)
    async def on_offer_withdrawn(event: e.OfferWithdrawn) -> None:
        id = work.id_of(event.owner, event.job)
        await memory.offers.saved.update_or_add(id, lambda offer, now: (work.withdrawn(offer, event, now), []))
