"""From a renter's wish to send a bundle to bytes that storage has verified and keeps under its own key."""

import asyncio
import hashlib
import tempfile
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from contracts.events import PartsGranted, PartsRequested, PartUrl, UploadFinished, UploadRequested
from services.chassis.clock import DatabaseClock
from services.chassis.verdicts import NotYet, SenderFault
from services.storage.bucket import Bucket, Gone, Writing
from services.storage.children import Children
from services.storage.domain import upload as uploading
from services.storage.domain.archive import Limits, Unsafe
from services.storage.domain.task import Task, TaskKind
from services.storage.domain.upload import Bundle, Upload, UploadState, bundle_key, incoming_key
from services.storage.metrics import BUNDLE_SECONDS, BUNDLES
from services.storage.repository import Bundles, Tasks, Uploads

log = structlog.get_logger()
ZIP = "application/zip"


@dataclass(frozen=True)
class Uploading:
    uploads: Uploads
    bundles: Bundles
    tasks: Tasks
    bucket: Bucket
    children: Children
    clock: DatabaseClock
    limits: Limits
    folder: Path
    """Where an archive lies while it is looked through; needs room for the largest one."""

    async def request(self, event: UploadRequested) -> None:
        """An upload in the store, unless this very account has these bytes already."""
        owned = await self.bundles.use(event.account, event.sha256)
        upload = await self.uploads.request(event, owned, self.limits.max_bytes)
        if upload.state is not UploadState.REQUESTED:
            return
        multipart = await self.bucket.begin(incoming_key(upload.id), ZIP)
        upload = await self.uploads.update(upload.id, lambda state: uploading.granted(state, multipart))
        if upload.multipart != multipart:
            await self.bucket.abort(incoming_key(upload.id), multipart)

    async def grant_parts(self, event: PartsRequested) -> PartsGranted | None:
        """One page of URLs; None when there is nothing left to send. Raises NotYet, SenderFault."""
        upload = await self.uploads.get(event.upload)
        if upload is None or upload.state is UploadState.REQUESTED:
            raise NotYet("the upload is not open yet")
        if upload.account != event.account:
            raise SenderFault("the upload is another account's")
        if upload.state is not UploadState.GRANTED:
            return None
        page = uploading.parts(upload.bytes, event.page)
        if not page:
            raise SenderFault(f"the upload has no page {event.page}")
        upload = await self.uploads.asked(upload.id)
        return PartsGranted(
            upload=upload.id,
            account=upload.account,
            page=event.page,
            part_bytes=uploading.part_bytes(upload.bytes),
            parts_total=uploading.parts_total(upload.bytes),
            parts=tuple(await asyncio.gather(*(self._part(upload, number, size) for number, size in page))),
            seconds_valid=self.bucket.url_seconds,
        )

    async def _part(self, upload: Upload, number: int, size: int) -> PartUrl:
        url = await self.bucket.url_to_put_part(incoming_key(upload.id), upload.multipart, number, size)
        return PartUrl(number=number, url=url)

    async def finish(self, event: UploadFinished) -> None:
        """Reading it all takes longer than a message may: a task does it. Raises NotYet, SenderFault."""
        known = await self.uploads.get(event.upload)
        if known is None or known.state is UploadState.REQUESTED:
            raise NotYet("the upload is not open yet")
        if known.account != event.account:
            raise SenderFault("the upload is another account's")
        upload = await self.uploads.update(event.upload, uploading.finished)
        if upload.state is UploadState.FINISHED:
            await self.tasks.add(Task(f"bundle:{upload.id}", TaskKind.BUNDLE, upload.id))

    async def verify(self, upload_id: str) -> None:
        """The task: read the object once, keep what was verified, say so. Repeats are harmless, and so is one that has waited
        until its upload was forgotten. Raises WorldAway."""
        upload = await self.uploads.get(upload_id)
        if upload is not None and upload.state is UploadState.FINISHED:
            with BUNDLE_SECONDS.time():
                await self._judge(upload)
        await self.bucket.delete([incoming_key(upload_id), *await self._superfluous(upload)])

    async def _judge(self, upload: Upload) -> None:
        try:
            await self._assemble(upload)
            bundle = await self._keep(upload)
        except Unsafe as no:
            await self.reject(upload.id, no.code, no.text)
            return
        kept = await self.bundles.keep(bundle)
        await self.uploads.update(upload.id, lambda state: uploading.stored(state, kept))
        BUNDLES.labels("stored").inc()
        log.info("bundle stored", upload=upload.id, account=upload.account, bundle=kept.sha256, bytes=kept.bytes)

    async def _superfluous(self, upload: Upload | None) -> list[str]:
        """Its own object, where the account had the same bundle already. Thrown away after its renter was told: a store
        that keeps it keeps nobody waiting."""
        kept = await self.bundles.of(upload.account, upload.sha256) if upload is not None else None
        if upload is None or kept is None or kept.upload == upload.id:
            return []
        return [bundle_key(upload.account, upload.sha256, upload.id)]

    async def reject(self, upload: str, code: str, text: str) -> None:
        await self.uploads.update(upload, lambda state: uploading.rejected(state, code, text))
        BUNDLES.labels(code).inc()
        log.info("bundle rejected", upload=upload, code=code)

    async def _assemble(self, upload: Upload) -> None:
        """One object from the parts that really arrived. Raises Unsafe when they are not what was announced."""
        key = incoming_key(upload.id)
        try:
            arrived = await self.bucket.parts(key, upload.multipart)
        except Gone:
            return  # put together before, or lost: reading it tells which
        if sum(size for _, size, _ in arrived) != upload.bytes:
            await self.bucket.abort(key, upload.multipart)
            text = "Not all parts of the bundle arrived, or they are not as long as announced. Upload it again."
            raise Unsafe("wrong_size", text)
        await self.bucket.complete(key, upload.multipart, sorted((number, tag) for number, _, tag in arrived))

    async def _keep(self, upload: Upload) -> Bundle:
        """Reads the object once: into our own key, which appears only in the end, and into a file that a child looks through.
        Raises Unsafe."""
        key = bundle_key(upload.account, upload.sha256, upload.id)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            async with self.bucket.writing(key, ZIP) as writing:
                await self._read(upload, file, writing)
                contents = await self.children.examine(file, self.limits)
                await writing.commit()
        return Bundle(
            account=upload.account,
            sha256=upload.sha256,
            upload=upload.id,
            bytes=upload.bytes,
            unpacked_bytes=int(contents["unpacked_bytes"]),
            files=int(contents["files"]),
            blends=tuple(map(str, contents["blends"])),
            used_at=await self.clock.now(),
        )

    async def _read(self, upload: Upload, file: IO[bytes], writing: Writing) -> None:
        digest, found = hashlib.sha256(), 0
        try:
            async with aclosing(self.bucket.stream(incoming_key(upload.id))) as pieces:
                async for piece in pieces:
                    found += len(piece)
                    if found > upload.bytes:
                        break
                    await asyncio.to_thread(_take, piece, digest, file)
                    await writing.write(piece)
        except Gone:
            raise Unsafe("lost", "The store has lost the upload; nobody is to blame but us. Upload it again.") from None
        if found != upload.bytes:
            raise Unsafe("wrong_size", "The bundle is not as long as announced. Upload it again.")
        if digest.hexdigest() != upload.sha256:
            text = "The bundle's SHA-256 is not the announced one: it changed on the way or while being packed. Upload it again."
            raise Unsafe("wrong_hash", text)
        file.flush()
        file.seek(0)

    async def expire(self) -> int:
        """The sweep: what lies still, or is never finished, is thrown away. First decided, as somebody may be going on with it;
        what a crash then leaves in the store goes with the other leftovers."""
        ended = 0
        for overdue in await self.uploads.overdue(await self.clock.now()):
            upload = await self.uploads.expired(overdue.id)
            if upload.state is not UploadState.EXPIRED:
                continue
            if upload.multipart:
                await self.bucket.abort(incoming_key(upload.id), upload.multipart)
            BUNDLES.labels("expired").inc()
            ended += 1
        return ended


def _take(piece: bytes, digest: "hashlib._Hash", file: IO[bytes]) -> None:
    digest.update(piece)
    file.write(piece)
