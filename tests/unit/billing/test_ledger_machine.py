"""The ledger under hostile delivery: facts in any order, twice, lost and told again, across whole lives of jobs.

A small truth beside the books (what was ordered, sampled, rendered, rejected, sealed) speaks only by putting messages into a bag;
the books hear any message of the bag at any time. A crash before the transaction is a message that goes back into the bag
unheard; a crash after it is one that goes back although it was heard.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from contracts.events import (
    CopiesHonoured,
    CreditsHeld,
    CreditsOrdered,
    DepositHeld,
    JobQuoted,
    JobSettled,
    QuoteAccepted,
    QuoteDeclined,
    SamplingMeasured,
)
from contracts.values import MICRO, Kind, ranges
from services.billing.domain import ledger
from services.billing.domain.ledger import PostingKind
from services.billing.domain.pricing import Tariff
from tests.unit.billing.builders import a_book, a_curve, a_submission, a_work, an_estimate
from tests.unit.billing.memory import (
    Books,
    FaultyBlindHold,
    FaultyForgetfulCrash,
    FaultyGenerations,
    FaultyIssue,
    FaultyWithoutKeys,
)
from tests.unit.billing.play import Film, Play

RENTERS = ("ada", "bob")
AGENTS = {"box": "lars", "rig": "ada"}
"""ada rents and lends."""
SAMPLED = (1, 6)
FATES = st.lists(st.sampled_from(["heard", "heard", "heard", "again", "lost"]), min_size=2, max_size=8)
QUICK = settings(max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
FINDING = settings(QUICK, max_examples=600, phases=[Phase.generate], database=None, report_multiple_bugs=False, derandomize=True)
"""The first failure is enough; nobody reads how small it could be."""


class LedgerMachine(RuleBasedStateMachine, Play):
    books_type: ClassVar[type[Books]] = Books

    @initialize()
    def begin(self) -> None:
        self.begin_with(self.books_type(a_book(quote_seconds=100), datetime(2026, 1, 1, tzinfo=UTC), dict(AGENTS)))
        self.order("ada", 9)
        self.deliver_all()
        self.submit("ada", 40_000, None, (3 * MICRO, 4 * MICRO))

    # --- the truth

    @rule(account=st.sampled_from(RENTERS), credits=st.integers(1, 9))
    def order(self, account: str, credits: int) -> None:
        order = f"o{len(self.ordered)}"
        self.ordered[order] = (account, credits * MICRO)
        self.bag.append(CreditsOrdered(order=order, account=account, amount_micro=credits * MICRO, by="operator"))

    @precondition(lambda self: len(self.films) < 3)
    @rule(
        account=st.sampled_from(RENTERS),
        bid=st.sampled_from([1, 7_000, 40_000]),
        cap=st.sampled_from([None, None, None, 1, 400_000]),
        work=st.tuples(st.integers(0, 5 * MICRO), st.integers(0, 5 * MICRO)),
    )
    def submit(self, account: str, bid: int, cap: int | None, work: tuple[int, int]) -> None:
        job = f"j{len(self.films)}"
        others = ranges([frame for frame in range(1, 10) if frame not in SAMPLED])
        self.films[job] = Film(job, account, Tariff(a_curve(*work), others, bid))
        self.bag.append(a_submission(job, account, bid, cap))

    @rule(data=st.data(), steps=st.integers(1, 5))
    def go_on(self, data: st.DataObject, steps: int) -> None:
        """Messages are heard and a job takes its natural next step as far as the farm has been told, a few times in turn."""
        for _ in range(steps):
            self.deliver_some(data)
            open_films = [film for film in self.films.values() if not film.sealed]
            if open_films:
                self.next_step(data.draw(st.sampled_from(open_films)), data)

    def next_step(self, film: Film, data: st.DataObject) -> None:
        agent = data.draw(st.sampled_from(list(AGENTS)))
        if not film.sampled:
            if self.heard(DepositHeld, film.id):
                self.sample(film, data.draw(st.integers(0, 90 * MICRO)), agent)
        elif not self.heard(CreditsHeld, film.id):
            self.bag += [QuoteAccepted(job=film.id, account=film.account, version=1)] * len(self.heard(JobQuoted, film.id))
        elif film.missing():
            frames = data.draw(st.lists(st.sampled_from(film.missing()), min_size=1, max_size=7, unique=True))
            self.store(film, frames, Kind.RENDER, self.an_attempt(film), agent)
        else:
            self.end(film)

    def sample(self, film: Film, micro_wu: int, agent: str) -> None:
        """Two samples and a probe, then the estimate, told in any order."""
        film.sampled = True
        works = [a_work(f"{film.id}-p", Kind.PROBE, micro_wu)]
        for frame in SAMPLED:
            works.append(a_work(f"{film.id}-s{frame}", Kind.SAMPLE, micro_wu, (frame,)))
            self.store(film, [frame], Kind.SAMPLE, f"{film.id}-s{frame}", agent)
        self.bag.append(SamplingMeasured(job=film.id, work=tuple(works)))
        self.bag.append(an_estimate(film.id, film.account, 1, film.tariff))

    @precondition(lambda self: self.quoted())
    @rule(data=st.data())
    def decline(self, data: st.DataObject) -> None:
        quote = data.draw(st.sampled_from(self.quoted()))
        self.bag.append(QuoteDeclined(job=quote.job, account=quote.account, version=quote.version))

    @precondition(lambda self: self.rendering())
    @rule(data=st.data(), agent=st.sampled_from(list(AGENTS)))
    def late_sample(self, data: st.DataObject, agent: str) -> None:
        """A sample that comes after the price was made gives a frame of the quote; its work is told too."""
        film = data.draw(st.sampled_from(self.rendering()))
        frame, attempt = film.missing()[0], self.an_attempt(film)
        self.store(film, [frame], Kind.SAMPLE, attempt, agent)
        self.bag.append(SamplingMeasured(job=film.id, work=(a_work(attempt, Kind.SAMPLE, 9 * MICRO, (frame,)),)))

    @precondition(lambda self: any(self.rejectable(film) for film in self.films.values()))
    @rule(data=st.data(), agent=st.sampled_from(list(AGENTS)))
    def reject_and_render_again(self, data: st.DataObject, agent: str) -> None:
        film = data.draw(st.sampled_from([film for film in self.films.values() if self.rejectable(film)]))
        frame = data.draw(st.sampled_from(self.rejectable(film)))
        film.stored[frame] += 1
        self.tell_stored(film, [frame], Kind.RENDER, self.an_attempt(film), agent, film.stored[frame])

    def rejectable(self, film: Film) -> list[int]:
        accepted = self.heard(CreditsHeld, film.id) and not film.sealed
        return sorted(film.stored.keys() - film.covered) if accepted else []

    @precondition(lambda self: any(film.attempts for film in self.films.values()))
    @rule(data=st.data(), agent=st.sampled_from(list(AGENTS)))
    def copy(self, data: st.DataObject, agent: str) -> None:
        film = data.draw(st.sampled_from([film for film in self.films.values() if film.attempts]))
        frames = tuple(data.draw(st.sets(st.integers(2, 9), min_size=1, max_size=3)))
        self.bag.append(CopiesHonoured(job=film.id, attempt=f"{film.id}-c", agent=agent, version=1, frames=frames))

    @precondition(lambda self: any(not film.sealed for film in self.films.values()))
    @rule(data=st.data(), really=st.sampled_from([False, False, False, True]))
    def cancel(self, data: st.DataObject, really: bool) -> None:
        if really:
            self.end(data.draw(st.sampled_from([film for film in self.films.values() if not film.sealed])))

    @rule(seconds=st.sampled_from([0, 1, 60]))
    def time_passes(self, seconds: int) -> None:
        self.books.now += timedelta(seconds=seconds)
        self.books.sweep()

    # --- the bus

    @precondition(lambda self: self.bag)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        self.deliver_some(data)

    def deliver_some(self, data: st.DataObject) -> None:
        for fate in data.draw(FATES)[: len(self.bag)]:
            message = self.bag.pop(data.draw(st.integers(0, len(self.bag) - 1)))
            if fate == "lost" or not self.hear(message) or fate == "again":
                self.bag.append(message)

    # --- what must hold at any time

    @invariant()
    def postings_are_balanced_and_nobody_is_overdrawn(self) -> None:
        assert all(sum(leg.amount_micro for leg in posting.legs) == 0 for posting in self.postings())
        balances = ledger.balances(self.postings())
        assert sum(balances.values()) == 0
        assert all(amount >= 0 for account, amount in balances.items() if not ledger.may_be_negative(account)), balances

    @invariant()
    def credits_come_from_orders_alone(self) -> None:
        issued = -ledger.balances(self.postings()).get(ledger.ISSUANCE, 0)
        assert issued <= sum(amount for _, amount in self.ordered.values())

    @invariant()
    def charged_is_at_most_held_and_held_at_most_what_was_agreed(self) -> None:
        for film in self.films.values():
            held, charged = self.held(film), self.charged(film)
            assert 0 <= charged <= held <= self.agreed(film), (film.id, charged, held)
            job = self.books.jobs.get(film.id)
            assert job is None or (job.held_micro, job.charged_micro) == (held, charged)

    @invariant()
    def a_frame_has_at_most_one_charge_at_its_firm_price(self) -> None:
        for film in self.films.values():
            unreversed = Counter(posting.frame for posting in self.on_frames(film))
            assert not unreversed or max(unreversed.values()) == 1, unreversed
            for posting in self.on_frames(film):
                assert posting.frame is not None
                firm = film.tariff.cost(posting.frame)[1] if posting.kind is PostingKind.CHARGE else 0
                assert posting.earned_micro == firm

    @invariant()
    def what_came_second_is_paid_by_the_farm_and_not_beyond_its_own_price(self) -> None:
        for posting in self.postings():
            if posting.kind is PostingKind.DUPLICATE:
                assert posting.earned_micro <= posting.micro_wu * self.books.book.price_per_wu_micro // MICRO

    @invariant()
    def an_invoice_is_written_once_and_adds_up(self) -> None:
        for film in self.films.values():
            invoices = self.heard(JobSettled, film.id)
            assert len(invoices) <= 1
            for invoice in invoices:
                assert sum(line.amount_micro for line in invoice.lines) == invoice.charged_micro == self.charged(film)
                assert invoice.released_micro == invoice.held_micro - invoice.charged_micro
                assert self.left_held(film) == 0

    def teardown(self) -> None:
        """Everything is delivered in the end: then every job is settled, and every stored frame is paid once."""
        if not hasattr(self, "films"):
            return
        for film in self.films.values():
            if not film.sealed:
                self.end(film)
        self.deliver_all()
        for film in self.films.values():
            assert len(self.heard(JobSettled, film.id)) == 1, film.id
            charged = {posting.frame: posting.generation for posting in self.on_frames(film)}
            assert charged == film.stored
        self.books.sweep()
        balances = ledger.balances(self.postings())
        assert not any(amount for account, amount in balances.items() if account.endswith((":held", ":pending"))), balances
        self.postings_are_balanced_and_nobody_is_overdrawn()
        self.an_invoice_is_written_once_and_adds_up()


def test_the_ledger_keeps_its_promises_in_any_order_twice_and_across_crashes() -> None:
    run_state_machine_as_test(LedgerMachine, settings=QUICK)


@pytest.mark.parametrize("books", [FaultyWithoutKeys, FaultyIssue, FaultyBlindHold, FaultyGenerations, FaultyForgetfulCrash])
def test_the_machine_finds_a_planted_fault(books: type[Books]) -> None:
    faulty = type(f"Machine{books.__name__}", (LedgerMachine,), {"books_type": books})
    with pytest.raises(Exception) as found:  # an invariant, or the fault shows itself as a collision
        run_state_machine_as_test(faulty, settings=FINDING)
    assert not isinstance(found.value, AttributeError | TypeError | KeyError), found.value
