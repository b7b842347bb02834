"""A lender's commands about jobs that wait for his yes or no: `offers`, `accept-offer`, `reject-offer`."""

from pathlib import Path
from typing import Annotated

import typer

from framelend import showing
from framelend.offers import Offer, OfferLine
from framelend.session import JobId, Json, connected
from framelend.terminal import credits, out, plain, print_json, size, speaking, table

OneJob = Annotated[str | None, typer.Argument(metavar="[JOB]", help="Show this one in full.")]
Picture = Annotated[Path | None, typer.Option("--picture", help="With JOB: save a small picture of one frame here.")]
Machines = Annotated[list[str] | None, typer.Option("--agent", help="Only this machine; may be given several times.")]


def add_to(app: typer.Typer) -> None:
    app.command()(speaking(offers))
    app.command("accept-offer")(speaking(accept_offer))
    app.command("reject-offer")(speaking(reject_offer))


def offers(job: OneJob = None, picture: Picture = None, json: Json = False) -> None:
    """Jobs that wait for my yes (lenders whose agent.toml says by_hand = true)."""
    if job is not None:
        return _one(job, picture, json)
    with connected() as client:
        found = client.offers()
    if json:
        return print_json(found)
    right = ("frames", "GB", "per WU", "pays about")
    rows = table("job", "frames", "engine", "GB", "per WU", "pays about", "answer", right=right)
    for one in found:
        pays = credits(one.pays) if one.pays is not None else ""
        memory = f"{one.memory_bytes / 1e9:.1f}"
        rows.add_row(one.job, str(one.frames), one.engine, memory, credits(one.price_per_wu), pays, _answer(one))
    out.print(rows if found else "No job waits for your yes. Machines that take work by rules are not asked.")
    if any(one.answer == "none" for one in found):
        out.print("Look first: [bold]framelend offers JOB[/] · then [bold]framelend accept-offer JOB[/] or [bold]reject-offer[/]")


def accept_offer(job: JobId, agent: Machines = None, json: Json = False) -> None:
    """Let my machines (or those named) render this job."""
    with connected() as client:
        found = client.accept_offer(job, agent or [])
    if json:
        return print_json(found)
    machines = plain(", ".join(found.accepted_for)) or "all your machines"
    out.print(f"Accepted for {machines}: they get its frames when it is their turn.")


def reject_offer(job: JobId, json: Json = False) -> None:
    """Keep this job off my machines. What one of them has in hand it finishes."""
    with connected() as client:
        found = client.reject_offer(job)
    print_json(found) if json else out.print("Rejected: your machines get no more of it.")


def _one(job: str, picture: Path | None, json: bool) -> None:
    with connected() as client:
        found = client.offer(job)
        if picture is not None:
            client.offer_picture(job, picture)
    if json:
        return print_json(found)
    _shown(found)
    if picture is not None:
        out.print(f"A small picture of one frame is in {plain(str(picture))}.")


def _shown(one: Offer) -> None:
    rows = table("", "")
    rows.add_row("file", f"{one.blend} with {one.files} files, {size(one.unpacked_bytes)} unpacked")
    rows.add_row("frames", f"{one.frames} of {one.width} × {one.height} pixels, {one.samples} samples, {one.engine}")
    rows.add_row("needs", f"{one.memory_bytes / 1e9:.1f} GB of memory, {size(one.bundle_bytes)} to download")
    rows.add_row("renter", one.renter)
    rows.add_row("pays", _pay(one))
    rows.add_row("machines", ", ".join(one.agents))
    rows.add_row("answer", _answer(one))
    out.print(rows)
    showing.findings(one.findings)


def _pay(one: OfferLine) -> str:
    per = f"{credits(one.price_per_wu)} credits per WU"
    if one.pays is None or one.work is None:
        return f"{per}; how much work it is, is being measured"
    return f"{per}, about {credits(one.pays)} in all ({one.work.low:,.0f} to {one.work.high:,.0f} WU)"


def _answer(one: OfferLine) -> str:
    if one.answer == "accepted" and one.accepted_for:
        return f"accepted for {', '.join(one.accepted_for)}"
    return {"none": "waits for you", "accepted": "accepted", "rejected": "rejected"}.get(one.answer, one.answer)
