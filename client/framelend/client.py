"""The farm as a typed object. One client, one account; not for use by several threads at once."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from framelend import fetching, following, models, sending, steering
from framelend import offers as asking
from framelend.models import Account, Agent, Downloads, Earnings, Frames, Job, JobLine, Parts, TimelineLine, Upload
from framelend.transport import LONGEST_PAUSE, Transport

Money = Decimal | str | int


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def fresh_key() -> str:
    """An Idempotency-Key: keep it to repeat the very same request."""
    return uuid.uuid4().hex


class Client:
    """Raises FarmProblem when the farm refuses, FarmUnreachable when there is no answer after several tries."""

    def __init__(
        self, url: str, key: str, *, transport: httpx.BaseTransport | None = None, patience: float = LONGEST_PAUSE
    ) -> None:
        """`patience`: the longest pause between two tries, in seconds."""
        self._farm = Transport(url, key, transport, patience)
        self.rest = self._farm.rest

    @property
    def url(self) -> str:
        return self._farm.url

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._farm.http.close()

    # --- account

    def account(self) -> Account:
        return self._farm.call(Account, "GET", "/v1/account")

    def set_webhook(self, url: str | None) -> models.Webhook:
        return self._farm.call(models.Webhook, "PUT", "/v1/account/webhook", {"url": url})

    def rotate_key(self) -> models.NewKey:
        """The present key ends with the answer; this client then uses the new one."""
        made = self._farm.call(models.NewKey, "POST", "/v1/account/key", tries=1)
        self._farm.http.headers["Authorization"] = f"Bearer {made.key}"
        return made

    # --- operator

    def open_account(self, name: str, email: str, roles: Sequence[str]) -> models.OpenedAccount:
        body = {"name": name, "email": email, "roles": list(roles)}
        return self._farm.call(models.OpenedAccount, "POST", "/v1/accounts", body, tries=1)

    def accounts(self) -> list[Account]:
        return self._farm.call(list[Account], "GET", "/v1/accounts")

    def reset_key(self, account: str) -> models.NewKey:
        return self._farm.call(models.NewKey, "POST", f"/v1/accounts/{account}/key", tries=1)

    def issue_credits(self, account: str, amount: Money, key: str | None = None) -> models.Order:
        path = f"/v1/accounts/{account}/credits"
        return self._farm.call(models.Order, "POST", path, {"amount": str(amount)}, key=key or fresh_key())

    # --- uploads

    def request_upload(self, size: int, sha256: str) -> Upload:
        return self._farm.call(Upload, "POST", "/v1/uploads", {"bytes": size, "sha256": sha256})

    def upload_state(self, upload: str, wait: float = 0, after: str | None = None) -> Upload:
        """With `wait` seconds: answers when the state is not `after` any more, or (without) when there is a verdict."""
        return self._farm.call(Upload, "GET", f"/v1/uploads/{upload}", query={"wait": wait, "after": after})

    def parts(self, upload: str, page: int, wait: float = 20) -> Parts:
        return self._farm.call(Parts, "GET", f"/v1/uploads/{upload}/parts", query={"page": page, "wait": wait})

    def finish_upload(self, upload: str) -> Upload:
        return self._farm.call(Upload, "POST", f"/v1/uploads/{upload}/finish")

    def upload(self, bundle: Path | str, sent: Callable[[int, int], None] | None = None, memory: Path | None = None) -> Upload:
        """Send a bundle and wait for its verdict: `state` is stored or rejected. `sent` gets (bytes sent, bytes in all);
        `memory` is a folder in which what was sent is noted, so that a broken upload goes on where it stopped."""
        return sending.send(self, Path(bundle), sent or (lambda done, of: None), memory)

    # --- jobs

    def submit(
        self,
        bundle: str,
        price_per_wu: Money,
        *,
        blend: str | None = None,
        frames: str | None = None,
        name: str | None = None,
        settings: dict[str, Any] | None = None,
        max_cost: Money | None = None,
        deadline: datetime | None = None,
        start_at: datetime | None = None,
        priority: int | None = None,
        order: str | None = None,
        allows: Sequence[str] = (),
        lenders: Sequence[str] = (),
        key: str | None = None,
    ) -> Job:
        """`frames` like "1-48,60,100-200x2"; None: the file's own range. `order`: forward or preview. `allows`: whom you let
        render (own, named, trusted, anyone), whom you like best first; `lenders`: accounts and agents that "named" means."""
        body: dict[str, Any] = {
            "bundle": bundle,
            "price_per_wu": str(price_per_wu),
            "blend": blend,
            "frames": frames,
            "name": name,
            "max_cost": None if max_cost is None else str(max_cost),
            "deadline": deadline.isoformat() if deadline else None,
            "start_at": start_at.isoformat() if start_at else None,
            "priority": priority,
            "settings": settings or {},
            "order": order,
            "allows": list(allows) or None,
            "lenders": list(lenders) or None,
        }
        said = {name: value for name, value in body.items() if value is not None}
        return self._farm.call(Job, "POST", "/v1/jobs", said, key=key or fresh_key())

    def jobs(self, before: str | None = None, limit: int = 50) -> list[JobLine]:
        return self._farm.call(list[JobLine], "GET", "/v1/jobs", query={"before": before, "limit": limit})

    def job(self, job: str, wait: float = 0, after: int | None = None) -> Job:
        """With `wait` and `after`: answers when the revision is above `after`, or the time is over."""
        return self._farm.call(Job, "GET", f"/v1/jobs/{job}", query={"wait": wait, "after": after})

    def accept(self, job: str, version: int, key: str | None = None) -> Job:
        return self._farm.call(Job, "POST", f"/v1/jobs/{job}/quote/accept", {"version": version}, key=key or fresh_key())

    def decline(self, job: str, version: int, key: str | None = None) -> Job:
        return self._farm.call(Job, "POST", f"/v1/jobs/{job}/quote/decline", {"version": version}, key=key or fresh_key())

    def cancel(self, job: str) -> Job:
        return self._farm.call(Job, "POST", f"/v1/jobs/{job}/cancel")

    def pause(self, job: str) -> Job:
        return self._farm.call(Job, "POST", f"/v1/jobs/{job}/pause")

    def resume(self, job: str) -> Job:
        return self._farm.call(Job, "POST", f"/v1/jobs/{job}/resume")

    def change(self, job: str, **changes: Any) -> steering.SteeredJob:
        """price_per_wu, max_cost, deadline, start_at, priority; None takes a limit, a deadline or a start back."""
        said = {name: _plain(value) for name, value in changes.items()}
        return self._farm.call(steering.SteeredJob, "PATCH", f"/v1/jobs/{job}", said)

    def skip(self, job: str, frames: str) -> steering.SteeredJob:
        """Leave frames out, like "5,7-9": the job is complete without them."""
        return self._farm.call(steering.SteeredJob, "POST", f"/v1/jobs/{job}/skip", {"frames": frames})

    def retry(self, job: str, without: str | None = None, key: str | None = None) -> Job:
        """What failed is tried again; of a job that failed or was cancelled: a new job of the frames it lacks."""
        return self._farm.call(Job, "POST", f"/v1/jobs/{job}/retry", {"without": without}, key=key or fresh_key())

    def farm(self) -> steering.Farm:
        """Whether the whole farm is at work."""
        return self._farm.call(steering.Farm, "GET", "/v1/farm")

    def order_farm(self, order: str) -> steering.Farm:
        """`order`: pause, stop or resume; for the operator."""
        return self._farm.call(steering.Farm, "POST", "/v1/farm/orders", {"order": order}, tries=1)

    def apply(self, job: str, changes: Sequence[str], key: str | None = None) -> Job:
        """The new job: the same file and frames, with changes that the inspection of this one offers."""
        answer = self._farm.call(
            dict[str, Any], "POST", f"/v1/jobs/{job}/changes", {"changes": list(changes)}, key=key or fresh_key()
        )
        return Job.model_validate(answer["job"])

    def frames(self, job: str) -> Frames:
        return self._farm.call(Frames, "GET", f"/v1/jobs/{job}/frames")

    def timeline(self, job: str, after: int = 0) -> list[TimelineLine]:
        return self._farm.call(list[TimelineLine], "GET", f"/v1/jobs/{job}/timeline", query={"after": after})

    def follow(self, job: str, after: int = 0) -> Iterator[following.News]:
        """The job's story and state as it happens, for ever; goes on where it was after a lost connection."""
        return following.follow(self._farm, job, after)

    def until(self, job: str, condition: Callable[[Job], bool], seconds: float = float("inf")) -> Job:
        """The job, as soon as the condition holds or the time is over."""
        return following.until(self, job, condition, seconds)

    def downloads(self, job: str, names: Sequence[str]) -> Downloads:
        """Addresses for `frames/<n>`, `thumbnails/<n>` or names of the job's files; at most 200."""
        return self._farm.call(Downloads, "POST", f"/v1/jobs/{job}/downloads", {"names": list(names)}, query={"wait": 20})

    def page_link(self, job: str) -> str:
        """An address that opens the job's live page in a browser; good for some minutes."""
        link = self._farm.call(models.PageLink, "POST", f"/v1/jobs/{job}/page-links")
        return f"{self.url}{link.path}"

    # --- lenders

    def agents(self) -> list[Agent]:
        return self._farm.call(list[Agent], "GET", "/v1/agents")

    def agent_code(self) -> models.AgentCode:
        """A one-time code that lets one new machine in."""
        return self._farm.call(models.AgentCode, "POST", "/v1/agents/codes", tries=1)

    def revoke_agent(self, agent: str, reason: str = "", wait: float = 10) -> Agent:
        """Shut out for good; its `state` is `revoked` when that was done within `wait` seconds, else `leaving`."""
        return self._farm.call(Agent, "POST", f"/v1/agents/{agent}/revoke", {"reason": reason}, query={"wait": wait})

    def order_agent(self, agent: str, order: str, wait: float = 10) -> Agent:
        """`order`: enable, drain, disable or stop."""
        return self._farm.call(Agent, "POST", f"/v1/agents/{agent}/orders", {"order": order}, query={"wait": wait}, tries=1)

    def offers(self) -> list[asking.OfferLine]:
        """Jobs that wait for this lender's yes or no, and those he has answered."""
        return asking.listed(self._farm)

    def offer(self, job: str) -> asking.Offer:
        return asking.one(self._farm, job)

    def offer_picture(self, job: str, path: Path) -> None:
        """A small picture of one frame, into this file."""
        fetching.fetch_one(self, asking.picture(self._farm, job), path)

    def accept_offer(self, job: str, agents: Sequence[str] = ()) -> asking.Offer:
        """For these machines of one's own; without any, for all."""
        return asking.accepted(self._farm, job, agents)

    def reject_offer(self, job: str) -> asking.Offer:
        return asking.rejected(self._farm, job)

    def earnings(self) -> Earnings:
        return self._farm.call(Earnings, "GET", "/v1/earnings")
