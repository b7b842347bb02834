"""What an agent fetches and delivers: bundles, and a store to put them in."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.session import get_session

from tests.integration.world import World

BUCKET = "framelend"


@dataclass
class Bundle:
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def a_bundle(folder: Path) -> Bundle:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return Bundle(packed.getvalue())


class Store:
    """A prefix of the farm's bucket."""

    def __init__(self, world: World) -> None:
        farm = world.farm
        self.prefix = f"test-{world.token}"
        self.client: Any = get_session().create_client(
            "s3",
            endpoint_url=farm.http("S3"),
            aws_access_key_id=farm["FARM_S3_ACCESS_KEY"],
            aws_secret_access_key=farm["FARM_S3_SECRET_KEY"],
            region_name="us-east-1",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def put(self, name: str, body: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}", Body=body)

    def get(self, name: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}")["Body"].read()
        return body

    def url(self, method: str, name: str, **params: Any) -> str:
        where = {"Bucket": BUCKET, "Key": f"{self.prefix}/{name}", **params}
        url: str = self.client.generate_presigned_url(method, Params=where, ExpiresIn=300)
        return url

    def close(self) -> None:
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.prefix}/").get("Contents", [])
        for entry in found:
            self.client.delete_object(Bucket=BUCKET, Key=entry["Key"])
        self.client.close()
