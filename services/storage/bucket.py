"""The object store, over S3. The only file that knows aioboto3.

Rests on nothing but whole reads, whole writes and signed requests: conditions and server-side copies of stores were seen to lie.
What cannot be reached becomes `WorldAway`; what is not there becomes None or `Gone`.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aioboto3
import aiohttp
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from services.chassis.verdicts import WorldAway
from services.storage.metrics import BYTES

URL_SECONDS = 15 * 60
"""The longest that a signed URL may be good for."""
READ_BYTES = 1 << 20
WRITE_PART_BYTES = 16 << 20
DELETE_AT_ONCE = 1_000
_GONE = frozenset({"NoSuchKey", "NoSuchUpload", "404", "NotFound"})
_CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    retries={"max_attempts": 3, "mode": "standard"},
    connect_timeout=3,
    read_timeout=30,
    max_pool_connections=32,
)


class Gone(Exception):
    """The object or upload is not in the store."""


@dataclass(frozen=True)
class Address:
    """`public_url` is the store as agents and renters reach it."""

    url: str
    public_url: str
    access_key: str
    secret_key: str
    bucket: str
    url_seconds: int = URL_SECONDS


class Bucket:
    """Open with `open()`, close with `close()`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._signer: Any = None

    async def open(self) -> None:
        """Connects and makes the bucket when it is missing. Raises WorldAway."""
        session = aioboto3.Session()
        self._client = await self._stack.enter_async_context(self._connected(session, self._address.url))
        self._signer = self._client
        if self._address.public_url != self._address.url:
            self._signer = await self._stack.enter_async_context(self._connected(session, self._address.public_url))
        with _translated():
            try:
                await self._client.head_bucket(Bucket=self._address.bucket)
            except ClientError as refused:
                if not _is_gone(refused) and _code(refused) != "NoSuchBucket":
                    raise
                await self._client.create_bucket(Bucket=self._address.bucket)

    async def close(self) -> None:
        await self._stack.aclose()

    def _connected(self, session: Any, url: str) -> Any:
        keys = {"aws_access_key_id": self._address.access_key, "aws_secret_access_key": self._address.secret_key}
        return session.client("s3", endpoint_url=url, region_name="us-east-1", config=_CONFIG, **keys)

    async def _call(self, operation: str, key: str, **arguments: Any) -> Any:
        with _translated():
            return await getattr(self._client, operation)(Bucket=self._address.bucket, Key=key, **arguments)

    # --- signed URLs

    @property
    def url_seconds(self) -> int:
        """How long they are good for."""
        return self._address.url_seconds

    async def url_to_get(self, key: str, file_name: str = "") -> str:
        extra = {"ResponseContentDisposition": f'attachment; filename="{file_name}"'} if file_name else {}
        return await self._signed("get_object", Key=key, **extra)

    async def url_to_put(self, key: str, size: int, content_type: str) -> str:
        """Refuses any other length or type."""
        return await self._signed("put_object", Key=key, ContentLength=size, ContentType=content_type)

    async def url_to_put_part(self, key: str, multipart: str, number: int, size: int) -> str:
        return await self._signed("upload_part", Key=key, UploadId=multipart, PartNumber=number, ContentLength=size)

    async def _signed(self, operation: str, **parameters: Any) -> str:
        parameters["Bucket"] = self._address.bucket
        url: str = await self._signer.generate_presigned_url(operation, Params=parameters, ExpiresIn=self.url_seconds)
        return url

    # --- whole objects

    async def get(self, key: str, most: int) -> bytes | None:
        """The object, None when there is none; never more than `most` + 1 bytes of it, so a longer one shows as such."""
        found = bytearray()
        try:
            async with aclosing(self.stream(key)) as pieces:
                async for piece in pieces:
                    found += piece
                    if len(found) > most:
                        break
        except Gone:
            return None
        return bytes(found[: most + 1])

    async def stream(self, key: str) -> AsyncGenerator[bytes, None]:
        """The object piece by piece. Raises Gone."""
        answer = await self._call("get_object", key)
        body = answer["Body"]
        try:
            while piece := await _read(body):
                BYTES.labels("in").inc(len(piece))
                yield piece
        finally:
            body.close()

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        await self._call("put_object", key, Body=body, ContentType=content_type)
        BYTES.labels("out").inc(len(body))

    async def size(self, key: str) -> int | None:
        try:
            return int((await self._call("head_object", key))["ContentLength"])
        except Gone:
            return None

    async def delete(self, keys: Sequence[str]) -> None:
        """What is not there is not missed; what the store keeps is WorldAway, after all the others are gone."""
        kept: list[str] = []
        for at in range(0, len(keys), DELETE_AT_ONCE):
            listed = [{"Key": key} for key in keys[at : at + DELETE_AT_ONCE]]
            with _translated():
                told = {"Objects": listed, "Quiet": True}
                kept += refusals(await self._client.delete_objects(Bucket=self._address.bucket, Delete=told))
        if kept:
            raise WorldAway(f"the store keeps {len(kept)} of {len(keys)} objects: {kept[0]}")

    async def delete_below(self, prefix: str, before: datetime | None = None) -> int:
        """Everything whose key begins so (and was last written before then); returns how many."""
        deleted, token = 0, dict[str, str]()
        while True:
            with _translated():
                page = await self._client.list_objects_v2(Bucket=self._address.bucket, Prefix=prefix, **token)
            due = [found["Key"] for found in page.get("Contents", ()) if before is None or found["LastModified"] < before]
            await self.delete(due)
            deleted += len(due)
            if not page.get("IsTruncated"):
                return deleted
            token = {"ContinuationToken": page["NextContinuationToken"]}

    # --- uploads in parts

    async def begin(self, key: str, content_type: str) -> str:
        """The store's name for a new upload in parts."""
        return str((await self._call("create_multipart_upload", key, ContentType=content_type))["UploadId"])

    async def put_part(self, key: str, multipart: str, number: int, body: bytes) -> str:
        """The part's tag."""
        answer = await self._call("upload_part", key, UploadId=multipart, PartNumber=number, Body=body)
        BYTES.labels("out").inc(len(body))
        return str(answer["ETag"])

    async def parts(self, key: str, multipart: str) -> list[tuple[int, int, str]]:
        """(number, bytes, tag) of what really arrived. Raises Gone."""
        found: list[tuple[int, int, str]] = []
        marker: dict[str, int] = {}
        while True:
            page = await self._call("list_parts", key, UploadId=multipart, **marker)
            found += [(part["PartNumber"], part["Size"], part["ETag"]) for part in page.get("Parts", ())]
            if not page.get("IsTruncated"):
                return found
            marker = {"PartNumberMarker": page["NextPartNumberMarker"]}

    async def complete(self, key: str, multipart: str, tags: Sequence[tuple[int, str]]) -> None:
        """Raises Gone, also when it was completed before."""
        listed = [{"PartNumber": number, "ETag": tag} for number, tag in tags]
        await self._call("complete_multipart_upload", key, UploadId=multipart, MultipartUpload={"Parts": listed})

    async def abort(self, key: str, multipart: str) -> None:
        try:
            await self._call("abort_multipart_upload", key, UploadId=multipart)
        except Gone:
            return

    async def unfinished(self, prefix: str, before: datetime) -> list[tuple[str, str]]:
        """(key, upload) of uploads in parts begun before then and never ended."""
        try:
            with _translated():
                page = await self._client.list_multipart_uploads(Bucket=self._address.bucket, Prefix=prefix)
        except Gone:  # said by some stores when there is none
            return []
        return [(found["Key"], found["UploadId"]) for found in page.get("Uploads", ()) if found["Initiated"] < before]

    def writing(self, key: str, content_type: str) -> "Writing":
        return Writing(self, key, content_type)


class Writing:
    """One object written piece by piece in bounded memory. It does not exist before `commit`; leaving without it throws the
    pieces away."""

    def __init__(self, bucket: Bucket, key: str, content_type: str) -> None:
        self._bucket, self._key, self._content_type = bucket, key, content_type
        self._multipart = ""
        self._tags: list[tuple[int, str]] = []
        self._waiting = bytearray()
        self._committed = False

    async def __aenter__(self) -> "Writing":
        self._multipart = await self._bucket.begin(self._key, self._content_type)
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._committed:
            await self._bucket.abort(self._key, self._multipart)

    async def write(self, piece: bytes) -> None:
        self._waiting += piece
        if len(self._waiting) >= WRITE_PART_BYTES:
            await self._flush()

    async def commit(self) -> None:
        if self._waiting or not self._tags:
            await self._flush()
        await self._bucket.complete(self._key, self._multipart, self._tags)
        self._committed = True

    async def _flush(self) -> None:
        body, self._waiting = bytes(self._waiting), bytearray()
        number = len(self._tags) + 1
        self._tags.append((number, await self._bucket.put_part(self._key, self._multipart, number, body)))


async def _read(body: Any) -> bytes:
    with _translated():
        piece: bytes = await body.read(READ_BYTES)
        return piece


def refusals(answer: Mapping[str, Any]) -> list[str]:
    """Codes of what an answer to a deletion says is still there: the answer itself is 200 all the same."""
    return [code for one in answer.get("Errors", ()) if (code := str(one.get("Code", ""))) not in _GONE]


@contextmanager
def _translated() -> Iterator[None]:
    """The store's absence is the world's fault; what is missing is Gone; other refusals are ours."""
    try:
        yield
    except ClientError as refused:
        if _is_gone(refused):
            raise Gone(_code(refused)) from refused
        if int(refused.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) >= 500:
            raise WorldAway(f"the store answers {_code(refused)}") from refused
        raise
    except (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError) as away:
        raise WorldAway(f"the store is away: {type(away).__name__}") from away


def _code(refused: ClientError) -> str:
    return str(refused.response.get("Error", {}).get("Code", ""))


def _is_gone(refused: ClientError) -> bool:
    return _code(refused) in _GONE
