"""Money, all in integer micro-credits; billing alone decides it."""

from typing import Annotated

from pydantic import Field

from contracts.events.event import Event
from contracts.values import Frame, Id, Label, Micro, PriceLine, Ranges, Text, Value


class AccountOpened(Event):
    """Intake opened an account; mail goes to `email`."""

    account: Id
    email: Annotated[str, Field(max_length=320)]
    name: Label = ""


class WebhookSet(Event):
    """Where this account wants to be called; None switches it off. `revision` counts per account."""

    account: Id
    url: Annotated[str, Field(max_length=2_000)] | None
    revision: int


class CreditsOrdered(Event):
    """The operator issues credits to an account; `order` makes it happen once."""

    order: Id
    account: Id
    amount_micro: Annotated[int, Field(ge=1, le=10**15)]
    by: Label


class DepositHeld(Event):
    """Inspection and sampling may cost up to this."""

    job: Id
    account: Id
    amount_micro: Micro
    micro_wu_limit: Micro


class CreditsHeld(Event):
    """The accepted price is held in full; the job may start. `version` is the accepted quote's."""

    job: Id
    account: Id
    version: int
    amount_micro: Micro


class HoldRefused(Event):
    """`version` 0 is the deposit. A refused hold of a quote leaves the quote open until it expires."""

    job: Id
    account: Id
    version: int
    needed_micro: Micro
    available_micro: Micro
    text: Text


class CopiesHonoured(Event):
    """The scheduler confirms that superfluous frames were rendered under a valid lease: the farm pays them."""

    job: Id
    attempt: Id
    agent: Id
    version: int
    frames: Annotated[tuple[Frame, ...], Field(max_length=64)]


class AgentCharge(Value):
    """What one agent has earned on a job so far; `micro_wu` is the firm work of those frames."""

    agent: Id
    owner: Id
    frames: int
    micro_wu: Micro
    earned_micro: Micro


class JobCharged(Event):
    """Absolute sums of a job so far; `revision` only grows."""

    job: Id
    account: Id
    revision: int
    charged_micro: Micro
    frames: int
    agents: Annotated[tuple[AgentCharge, ...], Field(max_length=10_000)] = ()


class JobSettled(Event):
    """The job's money is final: what was charged, what went back, and the invoice's lines (they sum to `charged_micro`)."""

    job: Id
    account: Id
    outcome: Label
    held_micro: Micro
    charged_micro: Micro
    released_micro: Micro
    lines: tuple[PriceLine, ...]
    frames: Ranges
    agents: Annotated[tuple[AgentCharge, ...], Field(max_length=10_000)] = ()


class BalanceChanged(Event):
    """An account's balances; `revision` only grows."""

    account: Id
    revision: int
    available_micro: Micro
    held_micro: Micro
    pending_micro: Micro
    payable_micro: Micro
    debt_micro: Micro = 0
