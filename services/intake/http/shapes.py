"""The shapes of what people see, as JSON. Amounts of credits are decimal text (exact), work is WU, times are seconds or UTC."""

from datetime import datetime

from pydantic import BaseModel

from contracts.events import FrameUnderWay
from contracts.values import Audience, Finding, Order, Outlook


class Balances(BaseModel):
    """Credits: free to spend; held for jobs; earned and waiting; earned and payable; owed."""

    available: str
    held: str
    pending: str
    payable: str
    debt: str


class AccountView(BaseModel):
    id: str
    name: str
    email: str
    roles: list[str]
    opened_at: datetime
    webhook: str | None
    balances: Balances


class UploadView(BaseModel):
    """`state`: requested, granted, finished (being checked), stored, rejected (then `code` and `text`)."""

    id: str
    state: str
    sha256: str
    bytes: int
    code: str
    text: str
    blends: list[str]
    files: int
    unpacked_bytes: int


class Interval(BaseModel):
    low: float
    expected: float
    high: float


class LineView(BaseModel):
    code: str
    text: str
    amount: str


class QuoteView(BaseModel):
    """`answer`: none, accepted, declined. `open` when it can be accepted now."""

    version: int
    price: str
    lines: list[LineView]
    work: Interval
    seconds: Interval
    expires_at: datetime
    within_max_cost: bool
    answer: str
    open: bool
    outlook: Outlook | None = None
    """Of a job with a deadline: whether it can be kept."""
    reason: str = ""
    """Of a further version: why the price of what is left is asked anew."""
    left_frames: int | None = None
    left_price: str | None = None
    left_before: str | None = None
    """What rendering those frames costs at this version, and what it would have cost at the one before."""


class AgentLine(BaseModel):
    """One agent on this job: what it renders now, what it has delivered and earned."""

    agent: str
    rendering: list[int]
    under_way: list[FrameUnderWay] = []
    """How far those are, as the agent said up to ten seconds ago."""
    stored: int
    wu_per_minute: float
    earned: str


class RefusalView(BaseModel):
    version: int
    needed: str
    available: str
    text: str


class FailureView(BaseModel):
    code: str
    reason: str
    hint: str
    log_tail: str


class SettlementView(BaseModel):
    outcome: str
    held: str
    charged: str
    released: str
    lines: list[LineView]


class FileView(BaseModel):
    name: str
    bytes: int
    sha256: str


class JobLine(BaseModel):
    """A job in a list."""

    id: str
    name: str
    state: str
    reason: str
    submitted_at: datetime
    stored: int
    total: int
    charged: str
    price: str | None


class JobView(JobLine):
    """A job in full. `revision` grows whenever anything here changes."""

    revision: int
    ended: bool
    bundle: str
    blend: str
    asked_frames: str
    frames: str
    price_per_wu: str
    max_cost: str | None
    deadline: datetime | None
    start_at: datetime | None = None
    priority: int = 0
    left_out: str = ""
    """Frames that are not wanted any more; not among `total`."""
    notice: str = ""
    """What the operator's order to the whole farm means, while it is not at work."""
    order: Order
    allows: list[Audience]
    """Whom you let render, in your order; empty: anyone."""
    lenders: list[str]
    control: str | None
    findings: list[Finding]
    support: str | None = None
    """The verdict on the file as a whole: supported, supported with changes, not supported."""
    changes: list[str] = []
    """Made to the opened file at your word; findings name those that are offered."""
    replaced_by: str = ""
    """The job that was submitted instead, with changes."""
    width: int
    height: int
    fps: float
    deposit: str
    held: str
    quote: QuoteView | None
    refusal: RefusalView | None
    remaining_seconds: Interval | None
    agents: list[AgentLine]
    failure: FailureView | None
    settlement: SettlementView | None
    files: list[FileView]
    files_until: datetime | None


class TimelineLine(BaseModel):
    number: int
    at: datetime
    kind: str
    text: str
    data: dict[str, object]
