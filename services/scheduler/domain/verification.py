"""Whether storage is at work: frames that lie in the store are worth waiting for while it is not.

Theory. An agent that says it is done may be lying, so its frames are waited for only a moment, and then rendered again. But
storage can be the one that is late: it may be down, or its store or database away, for minutes. It says something about every
frame it looks at, so as long as it has said nothing since the agent was done, it may not have looked yet. After a silence it has
a backlog: the moment begins anew with its first word. A silence longer than `settle_silent` is not waited for.
Where an agent has said nothing and nothing has come of it, the same silence may also mean that there is nothing to say: then it
counts only while some agent says that a frame of its lies in the store, and storage has said nothing since.

Every process of the scheduler judges, and storage's word comes to one of them, agents' words to another. So what was heard is
agreed on, in one document, before anybody judges.
"""

from dataclasses import dataclass
from datetime import datetime

from services.scheduler.domain.policy import Policy
from services.scheduler.domain.quick import replace


@dataclass(frozen=True)
class Storage:
    """When it was heard: last, and since when without a long break; and what it owes."""

    last: datetime | None = None
    since: datetime | None = None
    claimed: datetime | None = None
    """When some agent last said that frames of its lie in the store."""


def agreed(one: Storage, other: Storage, policy: Policy) -> Storage:
    """What two processes have heard between them."""
    claimed = max((at for at in (one.claimed, other.claimed) if at is not None), default=None)
    if one.last is None or one.since is None:
        return replace(other, claimed=claimed)
    if other.last is None or other.since is None:
        return replace(one, claimed=claimed)
    is_broken = max(one.since, other.since) - min(one.last, other.last) > policy.after("settle")
    return Storage(max(one.last, other.last), (max if is_broken else min)(one.since, other.since), claimed)


class Verification:
    """What this process knows of storage: heard by itself, and by others."""

    def __init__(self) -> None:
        self.storage = Storage()

    def heard(self, now: datetime, policy: Policy) -> None:
        """It has stored, refused or passed over some frame."""
        self.agree(Storage(now, now), policy)

    def claimed(self, now: datetime) -> None:
        """Some agent says that frames of its lie in the store: storage owes a word."""
        self.storage = replace(self.storage, claimed=now)

    def agree(self, heard: Storage, policy: Policy) -> None:
        """Others have heard this of it."""
        self.storage = agreed(self.storage, heard, policy)

    def should_have_come(self, by: datetime, now: datetime, policy: Policy) -> bool:
        """Whether what was put into the store by then would be known to be stored."""
        last, since, claimed = self.storage.last, self.storage.since, self.storage.claimed
        owes = claimed is not None and (last is None or last < claimed)
        return self.is_overdue(by, now, policy) if owes else now - max(by, since or by) > policy.after("settle")

    def has_spoken(self, since: datetime) -> bool:
        return self.storage.last is not None and self.storage.last >= since

    def is_overdue(self, done_at: datetime, now: datetime, policy: Policy) -> bool:
        """Whether what was delivered by then should have been looked at."""
        last, since = self.storage.last, self.storage.since
        if last is None or since is None or last < done_at:
            return now - done_at > policy.after("settle_silent")
        return now - max(done_at, since) > policy.after("settle")
