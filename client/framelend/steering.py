"""Jobs as they are steered, and the whole farm, as it is at work or not."""

from datetime import datetime

from framelend.models import Job, Model


class SteeredJob(Job):
    """`left_out`: frames that are not wanted any more; `notice`: what the operator's order to the whole farm means."""

    start_at: datetime | None = None
    priority: int = 0
    left_out: str = ""
    notice: str = ""


class Farm(Model):
    """`order` (resume, pause, stop) stands since `since`; `notice` says what it means."""

    order: str
    since: datetime | None
    revision: int
    notice: str
