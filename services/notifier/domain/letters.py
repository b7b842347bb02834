"""The words of each mail. A letter is plain data; how it looks is the templates' business."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts.events import DeadlineMissed, HoldRefused, JobCancelled, JobFailed, JobPackaged, JobQuoted, JobSettled
from contracts.values import MICRO, Bytes, Feasibility, Outlook, PriceLine, count

Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Letter:
    """`rows` are (what, how much); `tail` is preformatted and may be empty."""

    subject: str
    title: str
    paragraphs: tuple[str, ...]
    rows: Rows = ()
    tail: str = ""


def letter(event: Any) -> Letter:
    """Raises KeyError for an event that nobody writes letters about."""
    return _WRITERS[type(event)](event)


def _quoted(event: JobQuoted) -> Letter:
    return _quoted_first(event) if event.left_micro is None or event.left_before_micro is None else _quoted_again(event)


def _quoted_again(event: JobQuoted) -> Letter:
    """The job waits for the answer, so what to do comes first."""
    rows = (
        (f"The {event.left_frames} frames left", _credits(event.left_micro or 0)),
        ("At the price you accepted", _credits(event.left_before_micro or 0)),
        ("The whole job, at most", _credits(event.price_micro)),
    )
    words = [
        f"Your job waits for you: {event.reason}.",
        f"To go on, before {_time(event.expires_at)}: framelend accept {event.job}",
        f"To end it with the finished frames, at the old price: framelend decline {event.job}. No answer means the same.",
    ]
    if not event.within_max_cost:
        words[1] = "The new price is over the limit you set, so it cannot be accepted; submit the rest again with a higher one."
    return Letter(f"Job {_short(event.job)} costs more than quoted: your answer is needed", "A new price", tuple(words), rows)


def _quoted_first(event: JobQuoted) -> Letter:
    rows = (*_lines(event.lines), ("At most", _credits(event.price_micro)))
    words = [
        f"The price is firm: you pay at most {_credits(event.price_micro)}, and only for frames that are delivered.",
        f"Rendering will take about {_duration(event.seconds.expected)}. Accept before {_time(event.expires_at)}: "
        f"framelend accept {event.job}",
    ]
    if event.outlook is not None:
        words.append(_outlook(event.outlook))
    if not event.within_max_cost:
        raised = f"framelend job set {event.job} --max-cost {_amount(event.price_micro)}"
        words.insert(0, f"This is over the limit you set, so it cannot be accepted as it is. To raise the limit first: {raised}")
    return Letter(f"Quote for job {_short(event.job)}: {_credits(event.price_micro)}", "Your quote is ready", tuple(words), rows)


def _outlook(outlook: Outlook) -> str:
    words = {
        Feasibility.FEASIBLE: "can be kept",
        Feasibility.TIGHT: "is tight",
        Feasibility.IMPOSSIBLE: "cannot be kept, also if the whole farm did nothing else",
    }
    deadline = f"Your deadline of {_time(outlook.deadline)} {words[outlook.feasibility]}"
    return f"{deadline}: begun without delay, the job could be done at {_time(outlook.earliest)}."


def _missed(event: DeadlineMissed) -> Letter:
    left = "" if event.remaining_seconds is None else f" They will take about {_duration(event.remaining_seconds.expected)} more."
    words = (
        f"The deadline of {_time(event.deadline)} is over, and {event.lacking} frames are not stored yet.{left}",
        f"The job goes on. To stop it: framelend cancel {event.job}",
    )
    return Letter(f"Job {_short(event.job)} missed its deadline", "Your job is late", words)


def _refused(event: HoldRefused) -> Letter:
    rows = (("Needed", _credits(event.needed_micro)), ("Available", _credits(event.available_micro)))
    return Letter(f"Job {_short(event.job)}: the price could not be held", "The price could not be held", (event.text,), rows)


def _failed(event: JobFailed) -> Letter:
    words = (event.reason, event.hint, "Frames that are stored stay paid and downloadable.")
    return Letter(f"Job {_short(event.job)} failed", "Your job cannot go on", _said(words), tail=event.log_tail)


def _cancelled(event: JobCancelled) -> Letter:
    words = (f"Reason: {event.reason}.", "Frames that are stored stay paid and downloadable.")
    return Letter(f"Job {_short(event.job)} was cancelled", "Your job was cancelled", words)


def _packaged(event: JobPackaged) -> Letter:
    words = (f"Everything is there until {_time(event.until)}. Download it with: framelend download {event.job}",)
    rows = tuple((file.name, _size(file.bytes)) for file in event.files)
    return Letter(f"Job {_short(event.job)} is ready to download", "Your frames are ready", words, rows)


def _settled(event: JobSettled) -> Letter:
    words = (
        f"The job ended as {event.outcome} with {count(event.frames)} frames. {_credits(event.charged_micro)} were charged; "
        f"{_credits(event.released_micro)} of what was held went back to your account.",
    )
    rows = (*_lines(event.lines), ("Charged", _credits(event.charged_micro)))
    return Letter(f"Invoice for job {_short(event.job)}: {_credits(event.charged_micro)}", "Your invoice", words, rows)


_WRITERS: dict[type[Any], Callable[[Any], Letter]] = {
    JobQuoted: _quoted,
    HoldRefused: _refused,
    JobFailed: _failed,
    JobCancelled: _cancelled,
    JobPackaged: _packaged,
    JobSettled: _settled,
    DeadlineMissed: _missed,
}


def _lines(lines: tuple[PriceLine, ...]) -> Rows:
    return tuple((line.text, _credits(line.amount_micro)) for line in lines)


def _said(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if word)


def _short(job: str) -> str:
    return job if len(job) <= 12 else job[-12:]


def _credits(micro: int) -> str:
    return f"{_amount(micro)} credits"


def _amount(micro: int) -> str:
    fraction = f"{micro % MICRO:06d}".rstrip("0").ljust(2, "0")
    return f"{micro // MICRO}.{fraction}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _duration(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(size: Bytes) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
