"""The truth beside the books: what really happened to each job, said only by messages in a bag, and what the books show of it."""

from dataclasses import dataclass, field
from typing import Any

from contracts.events import (
    CreditsHeld,
    DepositHeld,
    Event,
    FramesSealed,
    FramesStored,
    JobQuoted,
    StoredFrame,
)
from contracts.values import Kind, ranges
from services.billing.domain import ledger
from services.billing.domain.faults import TooEarly
from services.billing.domain.ledger import Posting, PostingKind
from services.billing.domain.pricing import Tariff
from tests.unit.billing.memory import Books


@dataclass
class Film:
    """What really happened to one job. `stored`: frame → generation it is stored under."""

    id: str
    account: str
    tariff: Tariff
    stored: dict[int, int] = field(default_factory=dict)
    covered: set[int] = field(default_factory=set)
    """Frames that samples gave; undoing those is the audits' business, later."""
    sampled: bool = False
    sealed: bool = False
    attempts: int = 0

    def missing(self) -> list[int]:
        return [frame for frame in range(1, 10) if frame not in self.stored]


class Play:
    """State of one run of the machine: the books, the bag of messages under way, the jobs."""

    books: Books
    bag: list[Event]
    films: dict[str, Film]
    ordered: dict[str, tuple[str, int]]

    def begin_with(self, books: Books) -> None:
        self.books, self.bag, self.films, self.ordered = books, [], {}, {}

    def hear(self, message: Event) -> bool:
        """False when it is too early for it."""
        try:
            self.books.hear(message)
        except TooEarly:
            return False
        return True

    def an_attempt(self, film: Film) -> str:
        film.attempts += 1
        return f"{film.id}-a{film.attempts}"

    def store(self, film: Film, frames: list[int], kind: Kind, attempt: str, agent: str) -> None:
        film.stored |= dict.fromkeys(frames, 0)
        film.covered |= set(frames) if kind is Kind.SAMPLE else set()
        self.tell_stored(film, frames, kind, attempt, agent, 0)

    def tell_stored(self, film: Film, frames: list[int], kind: Kind, attempt: str, agent: str, generation: int) -> None:
        stored = tuple(
            StoredFrame(frame=one, file_sha256="0" * 64, pixel_sha256="0" * 64, bytes=1, cpu_micros=1, key="k") for one in frames
        )
        self.bag.append(
            FramesStored(
                job=film.id,
                chunk="c",
                attempt=attempt,
                agent=agent,
                kind=kind,
                generation=generation,
                version=1 if kind is Kind.RENDER else 0,
                frames=stored,
            )
        )

    def end(self, film: Film) -> None:
        film.sealed = True
        frames = ranges(film.stored)
        outcome = "completed" if not film.missing() else "cancelled"
        self.bag.append(FramesSealed(job=film.id, account=film.account, outcome=outcome, frames=frames, count=len(film.stored)))

    def deliver_all(self) -> None:
        """Again and again; what is too early for ever (an answer to a quote never made) is left."""
        for _ in range(10):
            self.bag = [message for message in self.bag if not self.hear(message)]

    def quoted(self) -> list[JobQuoted]:
        return [event for event in self.books.said if isinstance(event, JobQuoted)]

    def rendering(self) -> list[Film]:
        return [film for film in self.films.values() if self.heard(CreditsHeld, film.id) and film.missing() and not film.sealed]

    def heard(self, event: type[Any], job: str) -> list[Any]:
        return [said for said in self.books.said if isinstance(said, event) and said.job == job]

    def agreed(self, film: Film) -> int:
        deposit, price = self.heard(DepositHeld, film.id), self.heard(CreditsHeld, film.id)
        quotes = self.heard(JobQuoted, film.id)
        return int(quotes[-1].price_micro if price else deposit[-1].amount_micro if deposit else 0)

    def postings(self) -> list[Posting]:
        return list(self.books.postings.values())

    def on_frames(self, film: Film) -> list[Posting]:
        mine = [posting for posting in self.postings() if posting.job == film.id]
        undone = {posting.reverses for posting in mine}
        frames = (PostingKind.CHARGE, PostingKind.COVERED)
        return [posting for posting in mine if posting.kind in frames and posting.key.split("#")[0] not in undone]

    def held(self, film: Film) -> int:
        return self._held_legs(film, (PostingKind.HOLD,))

    def charged(self, film: Film) -> int:
        return -self._held_legs(film, tuple(set(PostingKind) - {PostingKind.HOLD, PostingKind.RELEASE}))

    def left_held(self, film: Film) -> int:
        return self._held_legs(film, tuple(PostingKind))

    def _held_legs(self, film: Film, kinds: tuple[PostingKind, ...]) -> int:
        mine = [posting for posting in self.postings() if posting.job == film.id and posting.kind in kinds]
        return ledger.balances(mine).get(ledger.held(film.account), 0)
