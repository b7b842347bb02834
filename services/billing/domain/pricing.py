"""Prices: the book, the deposit, the firm price of a curve, the lines of quotes and invoices.

Everything is rounded down, frame by frame, and then summed, so that the sum of what is charged later is the sum of the quote.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from contracts.values import MICRO, Curve, PriceLine, Ranges, count, frames
from contracts.work import price

MOST = 10**18
"""The greatest amount an event can carry; a job that would cost more can be shown and never accepted."""


@dataclass(frozen=True)
class Terms:
    """Fixed lines, frozen into a quote. `fee_ppm`: millionths of what rendering costs; the others are per stored frame."""

    book: int
    fee_ppm: int
    keeping_micro: int
    transfer_micro: int


@dataclass(frozen=True)
class PriceBook:
    """`version` changes whenever a number does. The deposit is `deposit_micro_wu` at `price_per_wu_micro`, bounded."""

    version: int
    price_per_wu_micro: int
    deposit_micro_wu: int
    max_deposit_micro: int
    fee_ppm: int
    keeping_micro: int
    transfer_micro: int
    quote_seconds: int

    @property
    def terms(self) -> Terms:
        return Terms(self.version, self.fee_ppm, self.keeping_micro, self.transfer_micro)


def deposit(book: PriceBook) -> tuple[int, int]:
    """(micro-credits to hold, micro-WU that inspection and sampling may use). The book's alone, whatever the renter's limit: what
    it does not cover of sampling, nobody pays its lenders."""
    amount = min(price(book.deposit_micro_wu, book.price_per_wu_micro), book.max_deposit_micro)
    return amount, min(book.deposit_micro_wu, amount * MICRO // book.price_per_wu_micro)


@dataclass(frozen=True)
class Tariff:
    """What each frame of one version of a job costs, frozen. `frames` are those the quote was made for."""

    curve: Curve
    frames: Ranges
    price_per_wu_micro: int

    def cost(self, frame: int) -> tuple[int, int]:
        """(micro-WU, micro-credits) of one frame: exactly this is paid and earned."""
        micro_wu = self.curve.wu(frame)
        return micro_wu, price(micro_wu, self.price_per_wu_micro)

    def second(self, frame: int, book: PriceBook) -> tuple[int, int]:
        """The same of a picture of it that came second. The farm pays that one itself, and at most at its own price: a bid costs
        nothing where renter and lender are one, or in league."""
        micro_wu = self.curve.wu(frame)
        return micro_wu, price(micro_wu, min(self.price_per_wu_micro, book.price_per_wu_micro))

    def rendering(self) -> int:
        """Micro-credits for all its frames."""
        return sum(self.cost(frame)[1] for frame in frames(self.frames))

    def freed(self, ranges: Ranges) -> int:
        """Micro-credits of those frames that are in the quote too: what need not be rendered any more."""
        return sum(self.cost(frame)[1] for frame in frames(ranges) if any(frame in own for own in self.frames))


@dataclass(frozen=True)
class Plan:
    """What rendering costs under all versions of a job together. `left`: the frames that the newest one is about; `before`: what
    those would have cost at the version before it."""

    rendering_micro: int
    frames: int
    left: int = 0
    left_micro: int = 0
    before_micro: int = 0


def planned(tariffs: Sequence[Tariff]) -> Plan:
    """Of versions in their order: every frame costs what the newest one says that has it. Later ones are about fewer frames."""
    whole = before = tariffs[0].rendering()
    for older, newer in pairwise(tariffs):
        before = older.freed(newer.frames)
        whole += newer.rendering() - before
    newest = tariffs[-1]
    return Plan(whole, count(tariffs[0].frames), count(newest.frames), newest.rendering(), before)


@dataclass(frozen=True)
class Work:
    """What lines are made of: micro-credits for sampling and rendering, frames to render, all frames of the job."""

    sampling_micro: int
    rendering_micro: int
    rendered: int
    stored: int


def quote_lines(terms: Terms, work: Work, bid_micro: int) -> tuple[PriceLine, ...]:
    """The most the job can cost, line by line."""
    rendering = _line("rendering", f"{_frames(work.rendered)} at {credits(bid_micro)} credits per WU", work.rendering_micro)
    return _shown((_sampling(work), rendering, *fixed_lines(terms, work)))


def invoice_lines(work: Work, fixed: tuple[PriceLine, ...]) -> tuple[PriceLine, ...]:
    """What was charged in the end; `fixed` are the lines of `fixed_lines` within the hold's room."""
    rendering = _line("rendering", f"{_frames(work.rendered)} rendered", work.rendering_micro)
    return _shown((_sampling(work), rendering, *fixed))


def fixed_lines(terms: Terms, work: Work) -> tuple[PriceLine, ...]:
    """Pro rata to what is rendered and stored, so never more than the quote's."""
    percent = credits(terms.fee_ppm * 100, least=0)
    return (
        _line("fee", f"Platform fee, {percent} % of rendering", work.rendering_micro * terms.fee_ppm // MICRO),
        _line("keeping", f"Keeping {_frames(work.stored)} until you fetch them", work.stored * terms.keeping_micro),
        _line("transfer", f"Transfer of {_frames(work.stored)}", work.stored * terms.transfer_micro),
    )


def within(lines: tuple[PriceLine, ...], room_micro: int) -> tuple[PriceLine, ...]:
    """The lines, each cut to what is left of `room_micro` after those before it."""
    cut = []
    for line in lines:
        amount = min(line.amount_micro, room_micro)
        room_micro -= amount
        cut.append(line.model_copy(update={"amount_micro": amount}))
    return tuple(cut)


def total(lines: tuple[PriceLine, ...]) -> int:
    return sum(line.amount_micro for line in lines)


def credits(micro: int, least: int = 2) -> str:
    """Micro-credits as a person reads them, exact, with at least `least` decimals."""
    fraction = f"{micro % MICRO:06d}".rstrip("0").ljust(least, "0")
    return f"{micro // MICRO}.{fraction}" if fraction else str(micro // MICRO)


def credits_up(micro: int) -> str:
    """Rounded up to hundredths: what to top up so that it is surely enough."""
    return credits(-(-micro // 10_000) * 10_000)


def _sampling(work: Work) -> PriceLine:
    return _line("sampling", "Inspection and sampling", work.sampling_micro)


def _line(code: str, text: str, amount: int) -> PriceLine:
    return PriceLine(code=code, text=text, amount_micro=min(amount, MOST))


def _shown(lines: tuple[PriceLine, ...]) -> tuple[PriceLine, ...]:
    """Sampling and rendering always, the rest when it costs something."""
    return tuple(line for line in lines if line.amount_micro or line.code in ("sampling", "rendering"))


def _frames(number: int) -> str:
    return "1 frame" if number == 1 else f"{number} frames"
