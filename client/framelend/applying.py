"""`framelend apply`: what the farm's inspection offers to change, at the renter's word."""

from typing import Annotated

import typer

from framelend.findings import Finding
from framelend.session import JobId, Json, connected
from framelend.terminal import NOT_ACCEPTED, fail, out, plain, print_json


def needed(findings: list[Finding]) -> list[str]:
    """Changes without which the file is not rendered."""
    return list(dict.fromkeys(one.change for one in findings if one.change and one.severity == "error"))


def apply(
    job: JobId,
    changes: Annotated[list[str] | None, typer.Argument(help="As findings name them; left out: those that errors need.")] = None,
    json: Json = False,
) -> None:
    """Submit a job again with changes that the farm's inspection offers; the file itself stays as it is."""
    with connected() as client:
        wanted = changes or needed(client.job(job).findings)
        if not wanted:
            fail(f"Nothing needs to be changed. Name a change: framelend quote {job} shows what is offered.", NOT_ACCEPTED)
        again = client.apply(job, wanted)
    if json:
        return print_json(again)
    out.print(f"Submitted again as [bold]{again.id}[/] with {plain(', '.join(wanted))}; {plain(job)} is replaced.")
    out.print(f"Its price: [bold]framelend quote {again.id} --wait 300[/]")
