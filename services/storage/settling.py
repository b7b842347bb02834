"""Delivered frames: read once, verified, kept, and told; or refused, and told why.

A delivery is one message of one attempt. Each of its frames goes the same way: known already? → read what was staged, at most
one byte more than was claimed → hash and look at *those* bytes → insert the record as `arrived` → write those very bytes under
our own key → and, for all of the batch together, see whether the job is still open and make them `stored`, with the event in the
same write. Whoever crashes in between repeats from the top; every step finds what is there.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from contracts.events import Event
from services.chassis import traces
from services.chassis.clock import DatabaseClock
from services.chassis.repository import Change, Saved
from services.chassis.verdicts import NotYet, SenderFault, WorldAway
from services.storage.bucket import Bucket
from services.storage.children import Children
from services.storage.domain import admission
from services.storage.domain import frame as framing
from services.storage.domain.admission import NotAllowed
from services.storage.domain.delivery import Delivery, One, Round
from services.storage.domain.frame import (
    Claim,
    FrameRecord,
    FrameState,
    Refusal,
    Standing,
)
from services.storage.domain.job import Job, JobState
from services.storage.domain.png import NotThePicture
from services.storage.metrics import FRAMES, PIXEL_CLAIMS, VERIFYING
from services.storage.repository import Agents, Claims, Frames, Jobs, Refusals

log = structlog.get_logger()
SUPERFLUOUS = "superfluous"


@dataclass(frozen=True)
class Settling:
    agents: Agents
    jobs: Jobs
    frames: Frames
    claims: Claims
    refusals: Refusals
    bucket: Bucket
    children: Children
    clock: DatabaseClock
    keys: Mapping[str, bytes]
    parallel: int
    blame: Callable[[str], None]
    """Counts a fault of an agent."""

    async def settle(self, deliveries: Sequence[Delivery]) -> list[Exception | None]:
        """One outcome per delivery; None when every frame of it is durably decided. Raises WorldAway."""
        problems = await self.admit(deliveries)
        good = _without(problems, deliveries)
        if not good:
            return problems
        round = await self._round(good)
        await self._each_frame(round, good)
        await self._store(round)
        await self._tidy(round)
        return [problem or _early(round, delivery) for delivery, problem in zip(deliveries, problems, strict=True)]

    async def expect(self, deliveries: Sequence[Delivery]) -> list[Exception | int]:
        """How many frames of each are still to be decided; or what is wrong with it: also a file that was not told (yet)."""
        problems = await self.admit(deliveries)
        round = await self._round(_without(problems, deliveries))
        return [problem or _left(round, delivery) for delivery, problem in zip(deliveries, problems, strict=True)]

    async def admit(self, deliveries: Sequence[Delivery]) -> list[Exception | None]:
        """What is wrong with each before any byte is looked at."""
        now = await self.clock.now()
        revoked = await self.agents.revoked_among(delivery.grant.agent for delivery in deliveries)
        jobs = await self.jobs.known(delivery.grant.job for delivery in deliveries)
        return [self._problem(delivery, revoked, jobs, now) for delivery in deliveries]

    def _problem(self, delivery: Delivery, revoked: set[str], jobs: Mapping[str, Job], now: datetime) -> Exception | None:
        grant = delivery.grant
        try:
            if not delivery.admitted:
                admission.check_grant(grant, self.keys, now, grant.agent in revoked)
            admission.check_frames(grant, [frame.frame for frame in delivery.frames])
        except NotAllowed as no:
            return SenderFault(str(no))
        return None if grant.job in jobs else NotYet("the job is not known yet")

    async def _round(self, deliveries: Sequence[Delivery]) -> Round:
        each = [One(delivery, frame) for delivery in deliveries for frame in delivery.frames]
        claims = await self.claims.known(one.claim for one in each)
        records = await self.frames.known(one.record for one in each)
        refused = await self.refusals.known(one.refusal for one in each)
        jobs = await self.jobs.known(delivery.grant.job for delivery in deliveries)
        return Round(await self.clock.now(), jobs, claims, {id: saved.state for id, saved in records.items()}, refused)

    async def _each_frame(self, round: Round, deliveries: Sequence[Delivery]) -> None:
        """All frames of the batch, a few at the same time: their bytes are in memory meanwhile."""
        turns = asyncio.Semaphore(self.parallel)

        async def take(one: One) -> None:
            async with turns:
                with traces.span("verify frame", one.ids, one.delivery.trace):
                    await self._frame(round, one)

        each = [take(One(delivery, frame)) for delivery in deliveries for frame in delivery.frames]
        for problem in await asyncio.gather(*each, return_exceptions=True):
            if problem is not None:
                raise problem

    async def _frame(self, round: Round, one: One) -> None:
        """Up to `arrived`, or to a refusal, or to nothing when it was decided before."""
        decided = round.decided(one)
        if decided:
            FRAMES.labels(decided).inc()
            round.staged.append(one.staged)
            return
        claim = round.claim(one)
        if claim is None:
            if not one.delivery.admitted:  # else it was told anew since: these bytes will never be delivered
                round.early.append(one.delivery)
            return
        data = await self.bucket.get(one.staged, claim.bytes)
        if data is None and one.delivery.patient:
            round.early.append(one.delivery)
            return
        try:
            with VERIFYING.time():
                record, thumbnail = await self._verify(round, one, claim, data)
        except NotThePicture as no:
            await self._reject(round, one, no)
        else:
            await self._arrive(round, one, record, data or b"", thumbnail)

    async def _verify(self, round: Round, one: One, claim: Claim, data: bytes | None) -> tuple[FrameRecord, bytes]:
        """The record these bytes deserve, and their thumbnail. Raises NotThePicture."""
        if data is None:
            raise NotThePicture("missing", "The file is not in the store.")
        if len(data) != claim.bytes:
            raise NotThePicture("wrong_size", f"The file does not have the {claim.bytes} bytes that were told.")
        if await asyncio.to_thread(_sha256, data) != claim.file_sha256:
            raise NotThePicture("wrong_hash", "The file is not the one that was told: its SHA-256 differs.")
        pixels, thumbnail = await self.children.look(data, one.grant.picture)
        agree = pixels == claim.pixel_sha256
        PIXEL_CLAIMS.labels(str(agree).lower()).inc()
        if not agree:
            log.warning("agent told other pixels", **one.ids)
        return framing.record(one.grant, claim, pixels, (_sha256(thumbnail), len(thumbnail)), round.now), thumbnail

    async def _arrive(self, round: Round, one: One, record: FrameRecord, data: bytes, thumbnail: bytes) -> None:
        found = await self.frames.arrive(record)
        if found in (Standing.FIRST, Standing.RESUMED, Standing.TAKES_OVER):
            await self.bucket.put(record.key, data, "image/png")
            await self.bucket.put(record.thumbnail_key, thumbnail, "image/webp")
            round.arrived[record.id] = one
        else:
            await self._not_first(round, one, found)

    async def _not_first(self, round: Round, one: One, found: Standing) -> None:
        if found is Standing.SECOND:
            await self._refuse(round, one, SUPERFLUOUS, framing.superfluous(one.grant, one.frame.frame))
        elif found in (Standing.REPEATED, Standing.CLOSED):
            FRAMES.labels("repeated" if found is Standing.REPEATED else "job_closed").inc()
            round.staged.append(one.staged)
        else:
            round.early.append(one.delivery)

    async def _store(self, round: Round) -> None:
        """Those that arrived become stored if their job is open *now*, after their insert (theory: `domain.job`)."""
        records = await self.frames.known(round.arrived)
        jobs = await self.jobs.known(saved.state.job for saved in records.values())
        changes = [
            _change(saved, jobs[saved.state.job], round.arrived[id].delivery.trace)
            for id, saved in records.items()
            if saved.state.state is FrameState.ARRIVED and saved.state.attempt == round.arrived[id].grant.attempt
        ]
        won = await self.frames.save(changes)
        settled = [change.state for change, mine in zip(changes, won, strict=True) if mine]
        for state in settled:
            one = round.arrived.pop(state.id)
            round.staged.append(one.staged)
            FRAMES.labels("stored" if state.state is FrameState.STORED else "job_closed").inc()
            log.info("frame settled", outcome=state.state.value, **one.ids)
        for id, one in round.arrived.items():
            there = (await self.frames.known([id])).get(id)
            found = framing.standing(there.state if there else None, one.grant.attempt, one.frame.file_sha256, round.now)
            await self._not_first(round, one, found)

    async def _reject(self, round: Round, one: One, no: NotThePicture) -> None:
        """Its agent's fault, once for each message: honest ones look at their pictures before they tell of them. Not what may
        stand beside the samples: that, the scene decides."""
        if no.code != "foreign_chunk" and one.delivery not in round.blamed:
            round.blamed.append(one.delivery)
            self.blame(one.grant.agent)
        await self._refuse(round, one, no.code, framing.rejection(one.grant, one.frame.frame, no.code, no.text))
        log.warning("frame rejected", code=no.code, text=no.text, **one.ids)

    async def _refuse(self, round: Round, one: One, code: str, event: Event) -> None:
        refusal = Refusal(one.grant.job, one.frame.frame, one.grant.attempt, one.grant.agent, code, round.now)
        await self.refusals.add(one.refusal, refusal, event)
        round.staged.append(one.staged)
        FRAMES.labels(code).inc()

    async def _tidy(self, round: Round) -> None:
        """What stays in the staging place is swept a day later."""
        try:
            await self.bucket.delete(round.staged)
        except WorldAway as away:
            log.info("staged files are left to the sweep", problem=str(away))


def _without(problems: Sequence[Exception | None], deliveries: Sequence[Delivery]) -> list[Delivery]:
    return [delivery for delivery, problem in zip(deliveries, problems, strict=True) if problem is None]


def _left(round: Round, delivery: Delivery) -> Exception | int:
    left = round.left(delivery)
    return NotYet("a frame's claim has not come") if left is None else left


def _change(saved: Saved[FrameRecord], job: Job, trace: Mapping[str, str]) -> Change[FrameRecord]:
    state, events = framing.stored(saved.state) if job.state is JobState.OPEN else framing.refused(saved.state)
    return Change(saved, state, events, trace)


def _early(round: Round, delivery: Delivery) -> Exception | None:
    return NotYet("a frame's claim, file or rival is not settled yet") if delivery in round.early else None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
