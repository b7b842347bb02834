"""What a job looks like in a terminal."""

from framelend.models import Finding, Job, Outlook, Quote, TimelineLine
from framelend.terminal import credits, duration, out, plain, table

_MARKS = {"error": "[bold red]✗[/]", "warning": "[yellow]![/]", "info": "[dim]·[/]"}


def inspection(job: Job) -> None:
    """What was found in the file, the verdict on it, and how the farm can change what it offers to."""
    findings(job.findings)
    if job.support:
        out.print(f"The file is [bold]{plain(job.support)}[/].")
    offered = dict.fromkeys(one.change for one in job.findings if one.change)
    if offered and not job.replaced_by and job.held == 0:
        out.print(f"The farm can do it for you: [bold]framelend apply {job.id} {plain(' '.join(offered))}[/]")


def findings(found: list[Finding]) -> None:
    for one in found:
        out.print(f" {_MARKS.get(one.severity, '·')} {plain(one.text)}" + (f" [dim]→ {plain(one.fix)}[/]" if one.fix else ""))


def quote(job: Job, offer: Quote) -> None:
    out.print(f"\n[bold]Quote {offer.version}[/] for {job.total} frames: [bold green]{credits(offer.price)} credits[/], firm.")
    if offer.left_frames is not None and offer.left_price is not None and offer.left_before is not None:
        out.print(f"[yellow]{plain(offer.reason).capitalize()}.[/]")
        out.print(
            f"The {offer.left_frames} frames left: {credits(offer.left_price)} credits instead of {credits(offer.left_before)}."
        )
    lines = table("", "credits", right=("credits",))
    for line in offer.lines:
        lines.add_row(line.text, credits(line.amount))
    out.print(lines)
    low, high = duration(offer.seconds.low), duration(offer.seconds.high)
    out.print(f"Takes about {duration(offer.seconds.expected)} ({low} to {high}). Work: {offer.work.expected:,.1f} WU.")
    if offer.outlook is not None:
        out.print(_outlook(offer.outlook))
    out.print(_standing(job, offer))


def _standing(job: Job, offer: Quote) -> str:
    """Whether it waits for an answer. One that was accepted waits again when the money was refused."""
    if offer.open:
        why = plain(job.refusal.text) if job.refusal is not None else ""
        refused = f"[red]Its price could not be held. {why}[/]\n" if offer.answer == "accepted" else ""
        until = f"Open until {offer.expires_at:%Y-%m-%d %H:%M} UTC. Accept with: [bold]framelend accept {job.id}[/]"
        end = f"\nOr end the job with what is finished, at the old price: [bold]framelend decline {job.id}[/]"
        return refused + until + (end if offer.version > 1 else "")
    if offer.answer != "none":
        return f"You have {plain(offer.answer)} it."
    if not job.ended and not offer.within_max_cost and job.max_cost is not None:
        return f"[yellow]That is above your limit of {credits(job.max_cost)} credits.[/]"
    return "It is over: nothing can be accepted any more."


def _outlook(outlook: Outlook) -> str:
    words = {"feasible": "can be kept", "tight": "[yellow]is tight[/]", "impossible": "[red]cannot be kept[/]"}
    word = words.get(outlook.feasibility, plain(outlook.feasibility))
    when, earliest = outlook.deadline.astimezone(), outlook.earliest.astimezone()
    own = "" if outlook.right_of_way else " It came after you accepted the price, so it orders only your own jobs."
    done = f"begun without delay, it could be done at {earliest:%Y-%m-%d %H:%M}"
    return f"Your deadline, {when:%Y-%m-%d %H:%M}, {word}: {done}.{own}"


def ending(job: Job) -> None:
    """How it ended, and what there is."""
    good = job.succeeded
    out.print(f"\n[bold {'green' if good else 'red'}]{job.state}[/] · {job.stored} of {job.total} frames · {plain(job.reason)}")
    if job.failure is not None:
        out.print(f"[red]{plain(job.failure.reason)}[/] {plain(job.failure.hint)}")
        if job.failure.log_tail:
            out.print(f"[dim]{plain(job.failure.log_tail[-1500:])}[/]")
    if job.settlement is not None:
        back = job.settlement.released
        out.print(f"Charged {credits(job.settlement.charged)} credits; {credits(back)} went back to your balance.")
    if job.files:
        out.print(f"Fetch it with: [bold]framelend download {job.id}[/]")


def line(one: TimelineLine) -> None:
    out.print(f"[dim]{one.at.astimezone():%H:%M:%S}[/] {plain(one.text)}")
