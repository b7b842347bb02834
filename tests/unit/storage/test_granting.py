"""Room for rendered frames: for a few files of each, however often they are told."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import cast

from contracts.events import FramesRendered, RenderedFrame, UploadGranted
from contracts.grants import Grant
from services.chassis.clock import DatabaseClock
from services.chassis.verdicts import SenderFault
from services.storage.bucket import Bucket
from services.storage.domain.admission import MOST_FILES
from services.storage.domain.frame import Claim, claim_id
from services.storage.domain.job import submitted
from services.storage.granting import Granting
from services.storage.repository import Agents, Bundles, Claims, Frames, Jobs
from tests.unit.clock import Clock
from tests.unit.storage.builders import KEYS, a_grant, a_submission
from tests.unit.storage.memory import Found


class MemoryClaims:
    """Stands in for Claims."""

    def __init__(self) -> None:
        self.kept = defaultdict[str, set[str]](set)

    async def told(self, ids: Iterable[str]) -> defaultdict[str, set[str]]:
        return defaultdict(set, {id: set(self.kept[id]) for id in ids})

    async def remember(self, claims: Sequence[Claim], now: datetime) -> None:
        for claim in claims:
            self.kept[claim_id(claim.attempt, claim.frame)].add(claim.file_sha256)


class Urls:
    """A store that lets everybody in."""

    url_seconds = 900

    async def url_to_put(self, key: str, size: int, content_type: str) -> str:
        return f"http://store/{key}"


class Storage:
    def __init__(self) -> None:
        self.claims = MemoryClaims()
        self.granting = Granting(
            cast(Agents, Found({})),
            cast(Bundles, None),
            cast(Jobs, Found({"job-1": submitted(a_submission())})),
            cast(Frames, None),
            cast(Claims, self.claims),
            cast(Bucket, Urls()),
            cast(DatabaseClock, Clock()),
            KEYS,
        )

    async def hears(self, *events: FramesRendered) -> list[UploadGranted | type[Exception]]:
        """What each is answered, or what was wrong with it."""
        outcomes, said = await self.granting.uploads(events)
        answers = iter(said)
        return [next(answers) if problem is None else type(problem) for problem in outcomes]


GRANT = a_grant()


def rendered(number: int, frame: int = 1, grant: Grant = GRANT) -> FramesRendered:
    """The file of this number."""
    told = RenderedFrame(frame=frame, bytes=10, file_sha256=f"{number:064x}", pixel_sha256="e" * 64, cpu_micros=1)
    return FramesRendered(grant=grant, frames=(told,))


async def test_a_frame_of_an_attempt_gets_room_for_a_few_files_and_for_the_same_ones_again() -> None:
    storage = Storage()
    for number in range(MOST_FILES):
        (answer,) = await storage.hears(rendered(number))
        assert isinstance(answer, UploadGranted)
    assert await storage.hears(rendered(MOST_FILES)) == [SenderFault]
    again = await storage.hears(*[rendered(number) for number in range(MOST_FILES)])
    assert all(isinstance(answer, UploadGranted) for answer in again)
    others = await storage.hears(rendered(9, frame=2), rendered(9, grant=a_grant(attempt="attempt-2")))
    assert all(isinstance(answer, UploadGranted) for answer in others)


async def test_files_told_in_messages_that_are_taken_together_count_too() -> None:
    storage = Storage()
    answers = await storage.hears(*[rendered(number) for number in range(50)])
    assert answers.count(SenderFault) == 50 - MOST_FILES
    assert len(storage.claims.kept["attempt-1:1"]) == MOST_FILES
