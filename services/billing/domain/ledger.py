"""Double entry in integer micro-credits, append-only.

Theory. A posting is one fact with all its legs, which sum to zero; its key says what it is for, so that the same fact told twice
is one posting. Accounts:

| account | holds |
|---|---|
| `renter:<id>:available` | credits to spend |
| `renter:<id>:held` | held for jobs and not charged yet; per job: `Job.held_micro - Job.charged_micro` |
| `lender:<id>:pending` | earned, audit window still open |
| `lender:<id>:payable` | earned for good |
| `lender:<id>:debt` | at most zero: owed by the lender after a reversal of what was already paid out |
| `platform:fee` | fees, keeping, transfer |
| `platform:duplicates`, `platform:loss`, `operator:issuance` | at most zero: what the farm itself gave |
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

ISSUANCE = "operator:issuance"
FEE = "platform:fee"
DUPLICATES = "platform:duplicates"
LOSS = "platform:loss"
_GIVERS = frozenset({ISSUANCE, DUPLICATES, LOSS})


class PostingKind(StrEnum):
    ISSUE = "issue"
    HOLD = "hold"
    RELEASE = "release"
    CHARGE = "charge"
    """One stored frame at its firm price."""
    COVERED = "covered"
    """One stored frame that its sampling attempt's charge has paid or will pay; no legs."""
    SAMPLING = "sampling"
    """One inspecting, sampling or probing attempt at book price."""
    REVERSE = "reverse"
    FEE = "fee"
    DUPLICATE = "duplicate"
    PAYABLE = "payable"


@dataclass(frozen=True)
class Leg:
    account: str
    amount_micro: int


class Unbalanced(Exception):
    """The legs of a posting do not sum to zero."""


@dataclass(frozen=True)
class Posting:
    """`key` is unique in the ledger. The facts after `job` say what it was for; `reverses` names the key that it undoes."""

    key: str
    kind: PostingKind
    legs: tuple[Leg, ...]
    job: str | None = None
    frame: int | None = None
    generation: int | None = None
    attempt: str | None = None
    agent: str | None = None
    owner: str | None = None
    version: int | None = None
    micro_wu: int = 0
    reverses: str | None = None

    def __post_init__(self) -> None:
        if sum(leg.amount_micro for leg in self.legs) != 0:
            raise Unbalanced(self.key)

    @property
    def earned_micro(self) -> int:
        """What the lender got by this posting."""
        return sum(leg.amount_micro for leg in self.legs if leg.account.startswith("lender:"))


def legs(moves: Mapping[str, int]) -> tuple[Leg, ...]:
    """Account → amount as legs; nothing moved is no leg."""
    return tuple(Leg(account, amount) for account, amount in moves.items() if amount)


def available(renter: str) -> str:
    return f"renter:{renter}:available"


def held(renter: str) -> str:
    return f"renter:{renter}:held"


def pending(lender: str) -> str:
    return f"lender:{lender}:pending"


def payable(lender: str) -> str:
    return f"lender:{lender}:payable"


def debt(lender: str) -> str:
    return f"lender:{lender}:debt"


def issue_key(order: str) -> str:
    return f"issue:{order}"


def hold_key(job: str, version: int) -> str:
    """Version 0 is the deposit."""
    return f"hold:{job}:{version}"


def frame_key(job: str, frame: int, generation: int) -> str:
    """Of CHARGE and COVERED alike: a stored frame has one of them and never both."""
    return f"charge:{job}:{frame}:{generation}"


def sampling_key(job: str, kind: str, attempt: str) -> str:
    return f"charge:{job}:{kind}:{attempt}"


def duplicate_key(attempt: str, frame: int) -> str:
    return f"duplicate:{attempt}:{frame}"


def may_be_negative(account: str) -> bool:
    return account in _GIVERS or account.endswith(":debt")


def balances(postings: Iterable[Posting]) -> dict[str, int]:
    """Account → balance, from the postings alone."""
    sums: dict[str, int] = defaultdict(int)
    for posting in postings:
        for leg in posting.legs:
            sums[leg.account] += leg.amount_micro
    return dict(sums)


def issue(order: str, account: str, amount_micro: int) -> Posting:
    """The operator gives credits to an account."""
    return Posting(issue_key(order), PostingKind.ISSUE, legs({ISSUANCE: -amount_micro, available(account): amount_micro}))


def matured(charge: Posting) -> Posting:
    """The audit window of an earning is closed: pending becomes payable."""
    owner, amount = str(charge.owner), charge.earned_micro
    return Posting(
        f"payable:{charge.key}",
        PostingKind.PAYABLE,
        legs({pending(owner): -amount, payable(owner): amount}),
        job=charge.job,
        agent=charge.agent,
        owner=owner,
    )


def duplicate(attempt: str, frame: int, job: str, agent: str, owner: str, version: int, cost: tuple[int, int]) -> Posting:
    """Good work that came second is paid by the farm; `cost` is (micro-WU, micro-credits) of that."""
    micro_wu, amount = cost
    return Posting(
        duplicate_key(attempt, frame),
        PostingKind.DUPLICATE,
        legs({DUPLICATES: -amount, pending(owner): amount}),
        job=job,
        frame=frame,
        attempt=attempt,
        agent=agent,
        owner=owner,
        version=version,
        micro_wu=micro_wu,
    )
