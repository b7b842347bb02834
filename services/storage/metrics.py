"""What people watch of storage. Labels never hold ids."""

from prometheus_client import Counter, Histogram

from services.storage.domain.task import TaskKind

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

FRAMES = Counter("framelend_storage_frames", "Frames delivered, by what became of them", ["outcome"])
"""stored, repeated, superfluous, job_closed, or the code of a rejection."""
VERIFYING = Histogram("framelend_storage_verification_seconds", "From reading a staged frame to its verdict", buckets=_SECONDS)
PIXEL_CLAIMS = Counter("framelend_storage_pixel_claims", "Pixel hashes agents told, against storage's own", ["agree"])
UPLOADS_GRANTED = Counter("framelend_storage_uploads_granted", "URLs for frames given to agents")
BYTES = Counter("framelend_storage_bytes", "Bytes moved between this service and the store", ["direction"])
BUNDLES = Counter("framelend_storage_bundles", "Uploads, by what became of them", ["outcome"])
BUNDLE_SECONDS = Histogram("framelend_storage_bundle_seconds", "To verify and keep a bundle", buckets=_SECONDS)
PACKAGING = Histogram("framelend_storage_packaging_seconds", "To make a job's packages", buckets=_SECONDS)
TASKS = Counter("framelend_storage_tasks", "Rounds of longer work", ["kind", "outcome"])
"""done; postponed while the world is away or something has not come yet; failed for a reason of ours."""
CHILDREN_LOST = Counter("framelend_storage_children_lost", "Confined processes that died or were stopped for taking too long")

REJECTIONS = (
    "missing", "wrong_size", "wrong_hash", "not_png", "broken", "animated", "foreign_chunk", "wrong_mode",
    "wrong_dimensions", "wrong_bits",
)  # fmt: skip
"""Codes of rejected frames. What may happen is counted from 0 on, so that the first time is seen as a step."""
for _outcome in ("stored", "repeated", "superfluous", "job_closed", *REJECTIONS):
    FRAMES.labels(_outcome)
for _agree in ("true", "false"):
    PIXEL_CLAIMS.labels(_agree)
for _direction in ("in", "out"):
    BYTES.labels(_direction)
for _outcome in ("stored", "expired"):
    BUNDLES.labels(_outcome)
for _kind in TaskKind:
    for _outcome in ("done", "postponed", "failed"):
        TASKS.labels(_kind.value, _outcome)
