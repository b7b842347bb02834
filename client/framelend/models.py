"""What the farm answers, typed. Unknown fields are dropped, so that an older client understands a newer farm.

Credits are Decimal (the farm counts in millionths), work is in WU, times are aware datetimes or seconds.
"""

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from framelend.findings import Finding as Finding


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Balances(Model):
    available: Decimal
    held: Decimal
    pending: Decimal
    payable: Decimal
    debt: Decimal


class Account(Model):
    id: str
    name: str
    email: str
    roles: list[str]
    webhook: str | None
    balances: Balances


class OpenedAccount(Model):
    """`key` is shown this once."""

    id: str
    name: str
    roles: list[str]
    key: str


class NewKey(Model):
    """`key` is shown this once."""

    account: str
    key: str


class Order(Model):
    order: str
    account: str
    amount: Decimal


class Webhook(Model):
    url: str | None
    secret: str


class Upload(Model):
    """`state`: requested, granted, finished, stored, rejected."""

    id: str
    state: str
    sha256: str
    bytes: int
    code: str = ""
    text: str = ""
    blends: list[str] = []
    files: int = 0


class Part(Model):
    number: int
    url: str


class Parts(Model):
    page: int
    part_bytes: int
    parts_total: int
    parts: list[Part]
    seconds_valid: int


class Interval(Model):
    low: float
    expected: float
    high: float


class Line(Model):
    code: str
    text: str
    amount: Decimal


class Outlook(Model):
    feasibility: str  # feasible, tight, impossible; `earliest`: the end, if the job were begun without delay
    deadline: datetime
    earliest: datetime
    right_of_way: bool = True  # before other renters' bids


class Quote(Model):
    """`answer`: none, accepted, declined."""

    version: int
    price: Decimal
    lines: list[Line]
    work: Interval
    seconds: Interval
    expires_at: datetime
    within_max_cost: bool
    answer: str
    open: bool
    outlook: Outlook | None = None
    reason: str = ""
    left_frames: int | None = None
    left_price: Decimal | None = None
    left_before: Decimal | None = None


class FrameUnderWay(Model):
    """Samples and seconds only where Blender tells."""

    frame: int
    seconds: float = 0.0
    sample: int | None = None
    samples: int | None = None
    remaining_seconds: float | None = None


class AgentLine(Model):
    agent: str
    rendering: list[int]
    under_way: list[FrameUnderWay] = []
    stored: int
    wu_per_minute: float
    earned: Decimal


class Refusal(Model):
    version: int
    needed: Decimal
    available: Decimal
    text: str


class Failure(Model):
    code: str
    reason: str
    hint: str
    log_tail: str


class Settlement(Model):
    outcome: str
    held: Decimal
    charged: Decimal
    released: Decimal
    lines: list[Line]


class File(Model):
    name: str
    bytes: int
    sha256: str


class JobLine(Model):
    id: str
    name: str
    state: str
    reason: str
    submitted_at: datetime
    stored: int
    total: int
    charged: Decimal
    price: Decimal | None


class Job(JobLine):
    revision: int
    ended: bool
    bundle: str
    blend: str
    asked_frames: str
    frames: str
    price_per_wu: Decimal
    max_cost: Decimal | None
    deadline: datetime | None
    order: str = "forward"
    allows: list[str] = []
    lenders: list[str] = []
    control: str | None
    findings: list[Finding]
    support: str | None = None
    replaced_by: str = ""
    width: int
    height: int
    fps: float
    deposit: Decimal
    held: Decimal
    quote: Quote | None
    refusal: Refusal | None
    remaining_seconds: Interval | None
    agents: list[AgentLine]
    failure: Failure | None
    settlement: Settlement | None
    files: list[File]
    files_until: datetime | None

    @property
    def succeeded(self) -> bool:
        return self.state == "completed"


class Frames(Model):
    total: int
    frames: str
    stored: str
    arriving: str
    rendering: str
    stored_count: int
    arriving_count: int


class TimelineLine(Model):
    number: int
    at: datetime
    kind: str
    text: str
    data: dict[str, object] = {}


class Download(Model):
    name: str
    url: str
    bytes: int
    sha256: str


class Downloads(Model):
    downloads: list[Download]
    missing: list[str]


class Agent(Model):
    id: str
    name: str
    owner: str
    house: bool
    state: str
    reason: str
    wu_per_minute: float
    cores: float
    order: str = "enable"


class AgentCode(Model):
    """`code` is shown this once."""

    code: str
    expires_at: datetime


class AgentEarnings(Model):
    agent: str
    jobs: int
    frames: int
    work: float
    earned: Decimal


class JobEarnings(Model):
    job: str
    agent: str
    frames: int
    work: float
    earned: Decimal
    final: bool


class Earnings(Model):
    balances: Balances
    earned: Decimal
    frames: int
    agents: list[AgentEarnings]
    jobs: list[JobEarnings]


class PageLink(Model):
    path: str
    seconds_valid: int
