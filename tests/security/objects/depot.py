"""The object store as its attackers meet it: storage in front, signed URLs, and the test's own hands behind it."""

from dataclasses import dataclass, field
from typing import Any

import httpx
from botocore.config import Config
from botocore.session import get_session

from contracts.events import Event, FrameUpload
from infra.local.farmfile import FarmFile
from tests.integration.world import World

PNG = "image/png"


@dataclass
class Depot:
    """`client` has the keys that only storage has."""

    world: World
    bucket: str
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = _client(self.world.farm)

    def body(self, key: str) -> bytes | None:
        """What lies there now, None when nothing does."""
        try:
            body: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None
        return body

    def keys(self, prefix: str) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return [one["Key"] for one in found]

    def unbound(self, key: str) -> str:
        """A URL signed as ours are, but without length and type."""
        url: str = self.client.generate_presigned_url("put_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=300)
        return url

    def close(self) -> None:
        self.client.close()


def _client(farm: FarmFile) -> Any:
    return get_session().create_client(
        "s3",
        endpoint_url=farm.http("S3"),
        aws_access_key_id=farm["FARM_S3_ACCESS_KEY"],
        aws_secret_access_key=farm["FARM_S3_SECRET_KEY"],
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


async def put(room: FrameUpload | str, body: bytes, kind: str | None = PNG, method: str = "PUT", **headers: str) -> int:
    """The store's status."""
    url = room if isinstance(room, str) else room.url
    sent = {"content-type": kind} if kind else {}
    async with httpx.AsyncClient() as http:
        return (await http.request(method, url, content=body, headers={**sent, **headers})).status_code


def about(events: list[Event], attempt: str) -> list[Event]:
    """What of a mailbox concerns this attempt."""
    return [event for event in events if getattr(event, "attempt", "") == attempt]
