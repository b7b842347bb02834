"""How the command speaks: tables and sentences for people, JSON on stdout for scripts, problems on stderr, exit codes."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from framelend import problems
from framelend.config import NotLoggedIn
from framelend.problems import FarmProblem, FarmUnreachable, FramelendError

P = ParamSpec("P")
R = TypeVar("R")

REFUSED, UNREACHABLE, JOB_ENDED_BADLY, NOT_LOGGED_IN, NOT_ACCEPTED, NOT_HELD_YET, INTERRUPTED = 1, 3, 4, 5, 6, 7, 130
EXIT_CODES = """Exit codes: 0 done · 1 refused by the farm, or something here is wrong · 2 wrong usage · 3 the farm cannot be
reached · 4 the job failed, was cancelled or was not accepted in time · 5 not logged in · 6 the quote was not accepted
(above the limit you gave) · 7 it is accepted and the farm has not held its price yet · 130 interrupted."""

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)
_BEFORE_MARKUP = re.compile(r"(\\*)(\[|\Z)")
_STEERING = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}
_STEERING[ord("\r")] = ""


def speaking(command: Callable[P, R]) -> Callable[P, R]:
    """Every problem becomes a sentence on stderr and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except FarmProblem as refused:
            told(refused)
            raise typer.Exit(NOT_LOGGED_IN if refused.status == 401 else REFUSED) from None
        except NotLoggedIn as nobody:
            fail(str(nobody), NOT_LOGGED_IN)
        except FarmUnreachable as away:
            fail(str(away), UNREACHABLE)
        except FramelendError as problem:
            fail(str(problem), REFUSED)
        except BrokenPipeError:
            raise  # who read it went away (``| head``), and nobody is there to be told
        except OSError as problem:
            fail(f"{problem.filename or 'This machine'}: {problem.strerror or problem}.", REFUSED)
        except UnicodeError as problem:
            fail(f"There is text that cannot be written here: {problem}.", REFUSED)
        except KeyboardInterrupt:
            fail("Interrupted. A submitted job goes on; `framelend jobs` lists it.", INTERRUPTED)

    return run


def told(refused: FarmProblem) -> None:
    problem = refused.problem
    err.print(f"[bold red]{plain(problem.title)}[/] · {plain(problem.detail)}")
    for place in problems.listed(problem)[1:]:
        err.print(f"  {plain(place)}")


def fail(text: str, code: int) -> NoReturn:
    err.print(f"[bold red]✗[/] {plain(text)}")
    raise typer.Exit(code)


def print_json(what: BaseModel | Sequence[BaseModel] | dict[str, Any]) -> None:
    """One JSON value on stdout."""
    if isinstance(what, BaseModel):
        body: Any = what.model_dump(mode="json")
    elif isinstance(what, dict):
        body = what
    else:
        body = [one.model_dump(mode="json") for one in what]
    sys.stdout.write(json.dumps(body, indent=2) + "\n")


class Rows(Table):
    """Cells that are text are only text: most come from outside."""

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        shown = (Text(steady(cell)) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*shown, style=style, end_section=end_section)


def table(*columns: str, right: Sequence[str] = ()) -> Rows:
    made = Rows(box=None, pad_edge=False, header_style="bold dim")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def credits(amount: Decimal) -> str:
    """Up to six decimals, at least two."""
    text = f"{amount:.6f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def size(of: int) -> str:
    amount = float(of)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def plain(text: str) -> str:
    """Text from outside inside of markup: it is no markup, whatever stands before or after it."""
    return _BEFORE_MARKUP.sub(lambda found: found[1] * 2 + ("\\[" if found[2] else ""), steady(text))


def steady(text: str) -> str:
    """Text from outside never steers the terminal it is shown on, and can be shown on any."""
    return text.encode(errors="replace").decode().translate(_STEERING)
