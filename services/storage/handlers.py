"""What storage hears, and who answers it."""

import asyncio

import structlog

from contracts.bus import NotAnnounced
from contracts.events import (
    AgentChanged,
    AgentEnrolled,
    AgentRevoked,
    BundleRequested,
    DownloadsRequested,
    Event,
    FramesCompleted,
    FramesRendered,
    JobCancelled,
    JobFailed,
    JobRendered,
    JobSubmitted,
    PartsRequested,
    UploadFinished,
    UploadRequested,
)
from contracts.topology import STORAGE
from services.chassis.delivery import Received
from services.chassis.inbox import Inboxes
from services.chassis.service import Ground
from services.storage.deferring import Deferring
from services.storage.domain.delivery import Delivery
from services.storage.domain.job import Outcome
from services.storage.granting import Granting
from services.storage.repository import Agents
from services.storage.repository.agents import REVOKED
from services.storage.sealing import Sealing
from services.storage.uploading import Uploading

log = structlog.get_logger()
MESSAGES_AT_ONCE = 50
PATIENT_TRIES = 2
"""A file that is not in the store after so many retries (about 2 s) is missing for good."""


def routes(
    ground: Ground, agents: Agents, uploading: Uploading, granting: Granting, deferring: Deferring, sealing: Sealing
) -> Inboxes:
    inboxes = Inboxes(STORAGE)
    _on_bundles(inboxes, ground, uploading, granting)
    _on_frames(inboxes, ground, granting, deferring)
    _on_jobs(inboxes, ground, granting, sealing)
    _on_agents(inboxes, ground, agents)
    return inboxes


def _on_bundles(inboxes: Inboxes, ground: Ground, uploading: Uploading, granting: Granting) -> None:
    @inboxes.on(UploadRequested)
    async def on_upload_requested(event: UploadRequested) -> None:
        await uploading.request(event)

    @inboxes.on(PartsRequested)
    async def on_parts_requested(event: PartsRequested) -> None:
        await _say(ground, await uploading.grant_parts(event))

    @inboxes.on(UploadFinished)
    async def on_upload_finished(event: UploadFinished) -> None:
        await uploading.finish(event)

    @inboxes.on(BundleRequested)
    async def on_bundle_requested(event: BundleRequested) -> None:
        await _say(ground, await granting.bundle(event))


def _on_frames(inboxes: Inboxes, ground: Ground, granting: Granting, deferring: Deferring) -> None:
    @inboxes.in_batches(FramesRendered, most=MESSAGES_AT_ONCE)
    async def on_frames_rendered(batch: list[Received[FramesRendered]]) -> list[Exception | None]:
        outcomes, said = await granting.uploads([received.event for received in batch])
        await asyncio.gather(*(_say(ground, answer) for answer in said))
        return outcomes

    @inboxes.in_batches(FramesCompleted, most=MESSAGES_AT_ONCE)
    async def on_frames_completed(batch: list[Received[FramesCompleted]]) -> list[Exception | None]:
        return await deferring.take([_delivery(received) for received in batch])


def _on_jobs(inboxes: Inboxes, ground: Ground, granting: Granting, sealing: Sealing) -> None:
    @inboxes.on(JobSubmitted)
    async def on_job_submitted(event: JobSubmitted) -> None:
        await sealing.submitted(event)

    @inboxes.on(JobRendered)
    async def on_job_rendered(event: JobRendered) -> None:
        await sealing.end(event.job, Outcome.RENDERED, event.fps_milli)

    @inboxes.on(JobFailed)
    async def on_job_failed(event: JobFailed) -> None:
        await sealing.end(event.job, Outcome.FAILED)

    @inboxes.on(JobCancelled)
    async def on_job_cancelled(event: JobCancelled) -> None:
        await sealing.end(event.job, Outcome.CANCELLED)

    @inboxes.on(DownloadsRequested)
    async def on_downloads_requested(event: DownloadsRequested) -> None:
        await _say(ground, await granting.downloads(event))


def _on_agents(inboxes: Inboxes, ground: Ground, agents: Agents) -> None:
    @inboxes.on(AgentEnrolled)
    async def on_agent_enrolled(event: AgentEnrolled) -> None:
        await agents.enrolled(event.agent, event.owner, event.house)

    @inboxes.on(AgentChanged)
    async def on_agent_changed(event: AgentChanged) -> None:
        ground.doorkeeper.heed(event.agent, await agents.changed(event.agent, event.state, event.revision))

    @inboxes.on(AgentRevoked)
    async def on_agent_revoked(event: AgentRevoked) -> None:
        await agents.has_been_revoked(event.agent)
        ground.doorkeeper.heed(event.agent, REVOKED)


def _delivery(received: Received[FramesCompleted]) -> Delivery:
    event = received.event
    return Delivery(event.grant, event.frames, patient=received.retries < PATIENT_TRIES, trace=received.trace)


async def _say(ground: Ground, answer: Event | None) -> None:
    """A transient answer; whoever misses it asks again. A mailbox that is full or gone must not hold up the others."""
    if answer is None:
        return
    try:
        await ground.say(answer)
    except NotAnnounced as lost:
        log.info("an answer was not delivered", event_key=answer.key(), problem=str(lost)[:200])
