"""What time does: uploads expire, kept files end, leftovers go, tasks are taken."""

from functools import partial

from services.chassis.sweeps import Sweep
from services.storage.domain.task import LANES
from services.storage.sealing import Sealing
from services.storage.uploading import Uploading
from services.storage.work import Work

MINUTE = 60.0


def sweeps(uploading: Uploading, sealing: Sealing, work: Work, workers: int, retention_every: float) -> list[Sweep]:
    """`retention_every` in seconds."""
    return [
        Sweep("expired uploads", 10 * MINUTE, uploading.expire),
        Sweep("jobs to purge", retention_every, sealing.order_purges),
        Sweep("unused bundles", retention_every, sealing.drop_unused_bundles),
        Sweep("leftovers in the store", 60 * MINUTE, sealing.drop_leftovers),
        *(
            Sweep(f"worker {number} for {lane[0].value}", 0.2, partial(work.all_due, lane))
            for lane in LANES
            for number in range(1, workers + 1)
        ),
    ]
