"""Settings and wiring of billing. The price book is the operator's: whoever changes a number raises `price_book_version`."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from services.billing.domain.pricing import PriceBook
from services.billing.handlers import Desk, routes
from services.billing.repository.accounts import Accounts
from services.billing.repository.audit import Audit
from services.billing.repository.books import Books
from services.billing.repository.frozen import Owners, Tariffs
from services.billing.repository.postings import Postings
from services.billing.sweeps import sweeps
from services.chassis.service import Ground, Service
from services.chassis.settings import ServiceSettings

NotNegative = Annotated[int, Field(ge=0, le=10**15)]


class Settings(ServiceSettings):
    """Amounts in micro-credits, work in micro-WU (1 WU = one CPU second of the reference machine)."""

    audit_window_seconds: NotNegative = 3600
    price_book_version: int = 1
    price_per_wu_micro: Annotated[int, Field(ge=1, le=10**12)] = 10_000
    """Book price of inspection, sampling and probes, and the most for work that came second: 0.01 credits per WU."""
    deposit_micro_wu: NotNegative = 600_000_000
    max_deposit_micro: NotNegative = 10_000_000
    fee_ppm: Annotated[int, Field(ge=0, le=1_000_000)] = 100_000
    """Platform fee in millionths of what rendering costs."""
    keeping_micro_per_frame: NotNegative = 500
    transfer_micro_per_frame: NotNegative = 500
    quote_seconds: NotNegative = 3600
    audit_seconds: float = 30.0
    """How often the books are checked against the postings."""

    @property
    def book(self) -> PriceBook:
        return PriceBook(
            version=self.price_book_version,
            price_per_wu_micro=self.price_per_wu_micro,
            deposit_micro_wu=self.deposit_micro_wu,
            max_deposit_micro=self.max_deposit_micro,
            fee_ppm=self.fee_ppm,
            keeping_micro=self.keeping_micro_per_frame,
            transfer_micro=self.transfer_micro_per_frame,
            quote_seconds=self.quote_seconds,
        )


async def build(ground: Ground) -> Service:
    settings = ground.settings
    assert isinstance(settings, Settings)
    accounts, owners, tariffs = Accounts(ground), Owners(ground), Tariffs(ground)
    postings = Postings(ground, timedelta(seconds=settings.audit_window_seconds))
    books = Books(ground, accounts, postings)

    async def prepare() -> None:
        for owner in (accounts, postings, books):
            await owner.ensure_indexes()

    return Service(
        inboxes=routes(Desk(books, accounts, owners, tariffs, settings.book)),
        repositories=(books.jobs, accounts.saved),
        sweeps=sweeps(books, accounts, Audit(ground.database), settings.sweep_seconds, settings.audit_seconds),
        prepare=prepare,
    )
