"""Whether storage is at work: frames that lie in the store are worth waiting for while it is not.

Theory. An agent that says it is done may be lying, so its frames are waited for only a moment, and then rendered again. But
storage can be the one that is late: it may be down, or its store or database away, for minutes. It says something about every
frame it looks at, so as long as it has said nothing since the agent was done, it may not have looked yet. After a silence it has
a backlog: the moment begins anew with its first word. A silence longer than `settle_silent` is not waited for.
Where an agent has said nothing and nothing has come of it, the same silence may also mean that there is nothing to say: then it
counts only while some agent says that a frame of its lies in the store, and storage has said nothing since.
"""

from datetime import datetime

from services.scheduler.domain.policy import Policy


class Verification:
    """When storage was heard: last, and since when without a long break."""

    def __init__(self) -> None:
        self._last: datetime | None = None
        self._since: datetime | None = None
        self._claimed: datetime | None = None

    def heard(self, now: datetime, policy: Policy) -> None:
        """It has stored, refused or passed over some frame."""
        if self._last is None or now - self._last > policy.after("settle"):
            self._since = now
        self._last = now

    def claimed(self, now: datetime) -> None:
        """Some agent says that frames of its lie in the store: storage owes a word."""
        self._claimed = now

    def should_have_come(self, by: datetime, now: datetime, policy: Policy) -> bool:
        """Whether what was put into the store by then would be known to be stored."""
        owes = self._claimed is not None and (self._last is None or self._last < self._claimed)
        return self.is_overdue(by, now, policy) if owes else now - max(by, self._since or by) > policy.after("settle")

    def has_spoken(self, since: datetime) -> bool:
        return self._last is not None and self._last >= since

    def is_overdue(self, done_at: datetime, now: datetime, policy: Policy) -> bool:
        """Whether what was delivered by then should have been looked at."""
        if self._last is None or self._since is None or self._last < done_at:
            return now - done_at > policy.after("settle_silent")
        return now - max(done_at, self._since) > policy.after("settle")
