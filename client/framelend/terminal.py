"""How the command speaks: tables and sentences for people, JSON on stdout for scripts, problems on stderr, exit codes."""

import json
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from framelend import problems
from framelend.config import NotLoggedIn
from framelend.problems import FarmProblem, FarmUnreachable, FramelendError

P = ParamSpec("P")
R = TypeVar("R")

REFUSED, UNREACHABLE, JOB_ENDED_BADLY, NOT_LOGGED_IN, NOT_ACCEPTED, NOT_HELD_YET, INTERRUPTED = 1, 3, 4, 5, 6, 7, 130
EXIT_CODES = """Exit codes: 0 done · 1 refused by the farm, or something here is wrong · 2 wrong usage · 3 the farm cannot be
reached · 4 the job failed, was cancelled or was not accepted in time · 5 not logged in · 6 the quote was not accepted
(above the limit you gave) · 7 it is accepted and the farm has not held its price yet · 130 interrupted."""

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


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
    err.print(f"[bold red]{problem.title}[/] · {_plain(problem.detail)}")
    for place in problems.listed(problem)[1:]:
        err.print(f"  {_plain(place)}")


def fail(text: str, code: int) -> NoReturn:
    err.print(f"[bold red]✗[/] {_plain(text)}")
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


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold dim")
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


def _plain(text: str) -> str:
    """Text from outside is never markup."""
    return text.replace("[", r"\[")
