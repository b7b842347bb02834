"""What time does to money: quotes expire, earnings mature, sealed jobs settle after a crash, and the books are checked."""

import structlog
from prometheus_client import Gauge

from services.billing.repository.accounts import Accounts
from services.billing.repository.audit import Audit
from services.billing.repository.books import Books
from services.billing.repository.postings import MATURED_AT_ONCE
from services.chassis.sweeps import Sweep

log = structlog.get_logger()
AUDIT_SHARE = 0.1
"""Of the time: all postings there are, are read each time, and there are ever more of them."""

LEDGER_SUM = Gauge("framelend_billing_ledger_sum", "Sum over all accounts in micro-credits: must be 0")
MISMATCHES = Gauge("framelend_billing_mismatches", "Balances that the postings do not bear out: must be 0")
BALANCE = Gauge("framelend_billing_balance_micro_credits", "Balances by kind of account", ["account"])
UNSETTLED = Gauge("framelend_billing_sealed_unsettled", "Sealed jobs whose charges do not equal the seal yet")


def sweeps(books: Books, accounts: Accounts, audit: Audit, seconds: float, audit_seconds: float) -> list[Sweep]:
    async def mature() -> None:
        while await books.mature() == MATURED_AT_ONCE:
            continue

    async def settle() -> None:
        UNSETTLED.set(await books.settle_sealed())

    async def check() -> None:
        report = await audit.run()
        LEDGER_SUM.set(report.ledger_sum)
        MISMATCHES.set(len(report.wrong))
        for account, amount in report.balances.items():
            BALANCE.labels(account).set(amount)
        if report.ledger_sum or report.wrong:
            log.error("the books do not agree", ledger_sum=report.ledger_sum, wrong=report.wrong[:20], count=len(report.wrong))

    return [
        Sweep("quotes expire", seconds, books.expire_quotes),
        Sweep("earnings mature", 1.0, mature),
        Sweep("sealed jobs settle", seconds, settle),
        Sweep("balances are told", 1.0, accounts.tell_untold),
        Sweep("the books are checked", audit_seconds, check, AUDIT_SHARE),
    ]
