"""`framelend watch`: an overall bar, a line per agent, ETA and credits, for as long as the job runs."""

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from framelend.client import Client
from framelend.following import Lost
from framelend.models import AgentLine, Job, TimelineLine
from framelend.terminal import credits, duration, out, print_json, steady, table

QUIET = frozenset({"frames.stored", "job.state.changed"})
"""Kinds of lines that the bar tells better."""
NEVER: frozenset[str] = frozenset()
BILL_SECONDS = 15.0


def watch(client: Client, job: str, until: frozenset[str] = NEVER, after: int = 0) -> Job:
    """Shows the job until it has ended (or reached one of these states); returns it. `after` leaves out what is told already."""
    last = client.job(job)
    if over(last, until):
        return last
    with Live(_picture(last, ""), console=out, refresh_per_second=4, transient=True) as live:
        for news in client.follow(job, after):
            note = ""
            if isinstance(news, Job):
                last = news
            elif isinstance(news, TimelineLine) and news.kind not in QUIET:
                live.console.print(f"[dim]{news.at.astimezone():%H:%M:%S}[/] ", Text(steady(news.text)), sep="", end="\n")
            elif isinstance(news, Lost):
                note = "The connection is lost; trying again. The job goes on."
            live.update(_picture(last, note))
            if over(last, until):
                break
    return _settled(client, job)


def watch_lines(client: Client, job: str, until: frozenset[str] = NEVER) -> Job:
    """For scripts and files: a JSON object per event on stdout."""
    last = client.job(job)
    if over(last, until):
        return last
    for news in client.follow(job):
        if isinstance(news, Job):
            last = news
            print_json({"event": "job", **news.model_dump(mode="json")})
        elif isinstance(news, TimelineLine):
            print_json({"event": "timeline", **news.model_dump(mode="json")})
        if over(last, until):
            break
    return _settled(client, job)


def over(job: Job, until: frozenset[str]) -> bool:
    return job.ended or job.state in until


def _settled(client: Client, job: str) -> Job:
    """The bill comes a moment after the end; nobody waits for it for ever."""
    return client.until(job, lambda one: not one.ended or one.settlement is not None, BILL_SECONDS)


def _picture(job: Job, note: str) -> RenderableType:
    parts: list[RenderableType] = [_head(job), _bar(job), _money(job)]
    if job.agents:
        parts.append(_agents(job.agents))
    if job.refusal is not None:
        parts.append(Text(steady(job.refusal.text), style="red"))
    if note:
        parts.append(Text(note, style="yellow"))
    return Panel(Group(*parts), title=Text(steady(job.name)), subtitle=Text(job.id, style="dim"), border_style="dim")


def _head(job: Job) -> RenderableType:
    return Text.assemble((job.state, "bold"), "  ", (steady(job.reason), "dim"))


def _bar(job: Job) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True)
    left = job.remaining_seconds
    eta = f"{duration(left.expected)} left ({duration(left.low)}–{duration(left.high)})" if left else ""
    grid.add_row(ProgressBar(max(1, job.total), job.stored, complete_style="green"), f"{job.stored}/{job.total} frames  {eta}")
    return grid


def _money(job: Job) -> RenderableType:
    price = f" of {credits(job.quote.price)}" if job.quote else ""
    return Text(f"{credits(job.charged)}{price} credits charged", style="dim")


def _frame(agent: AgentLine, frame: int) -> str:
    """With how far it is, where Blender tells."""
    far = next((one for one in agent.under_way if one.frame == frame), None)
    return f"{frame} ({100 * (far.sample or 0) // far.samples} %)" if far and far.samples else str(frame)


def _agents(agents: list[AgentLine]) -> RenderableType:
    grid = table("agent", "frame", "done", "WU/min", "earned", right=("done", "WU/min", "earned"))
    for one in agents[:20]:
        frames = ", ".join(_frame(one, frame) for frame in one.rendering[:6]) or "–"
        grid.add_row(one.agent, frames, str(one.stored), f"{one.wu_per_minute:.1f}", credits(one.earned))
    return grid
