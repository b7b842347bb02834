"""Buckets of frames, written in groups: the hot end of intake."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.chassis.repository import Change, Contended, New, Saved, SavedThenTold
from services.intake.domain.frames import Bucket, bucket_id, by_bucket

Fold = Callable[[Bucket], Bucket]
Waiting = tuple[str, int, list[Fold]]
"""Job, number of the bucket, what to do with it."""
TRIES = 20


@dataclass(frozen=True)
class Counted:
    """Of one job: frames stored, and a number that grows with every change of its buckets."""

    stored: int = 0
    revision: int = 0


class Frames:
    def __init__(self, saved: SavedThenTold[Bucket]) -> None:
        self.saved = saved

    async def ensure_indexes(self) -> None:
        await self.saved.collection.create_index([("job", 1), ("number", 1)], name="job")

    async def fold(self, job: str, frames: Iterable[int], make: Callable[[Sequence[int]], Fold]) -> None:
        """One change of the buckets these frames lie in."""
        await self.fold_all([(job, number, make(some)) for number, some in by_bucket(frames).items()])

    async def fold_all(self, folds: Sequence[tuple[str, int, Fold]]) -> None:
        """Many changes (job, bucket number, change), in as few writes as there are buckets. Raises Contended."""
        waiting: dict[str, Waiting] = {}
        for job, number, fold in folds:
            waiting.setdefault(bucket_id(job, number), (job, number, []))[2].append(fold)
        for _ in range(TRIES):
            if not waiting:
                return
            waiting = await self._tried(waiting)
        raise Contended(f"{len(waiting)} buckets of frames")

    async def counts(self, jobs: Sequence[str]) -> dict[str, Counted]:
        group = {"_id": "$job", "stored": {"$sum": "$stored_count"}, "revision": {"$sum": "$_version"}}
        cursor = self.saved.collection.aggregate([{"$match": {"job": {"$in": list(jobs)}}}, {"$group": group}])
        return {one["_id"]: Counted(one["stored"], one["revision"]) async for one in cursor}

    async def of(self, job: str) -> list[Saved[Bucket]]:
        """Its buckets, in the frames' order."""
        cursor = self.saved.collection.find({"job": job}, {"pending": 0, "_writers": 0}).sort("number", 1)
        return [self.saved.saved(document) async for document in cursor]

    async def _tried(self, waiting: Mapping[str, Waiting]) -> dict[str, Waiting]:
        """What lost its race and must be tried again."""
        known = await self.saved.read_many(waiting)
        fresh, changes = list[New[Bucket]](), list[Change[Bucket]]()
        for id, (job, number, folds) in waiting.items():
            before = known.get(id)
            after = _folded(before.state if before else Bucket(job, number), folds)
            if before is None:
                fresh.append(New(id, after))
            elif after != before.state:
                changes.append(Change(before, after))
        added, won = await self.saved.add_many(fresh), await self.saved.save(changes)
        ids = [*(one.id for one in fresh), *(one.before.id for one in changes)]
        return {id: waiting[id] for id, mine in zip(ids, [*added, *won], strict=True) if not mine}


def _folded(bucket: Bucket, folds: Sequence[Fold]) -> Bucket:
    for fold in folds:
        bucket = fold(bucket)
    return bucket
