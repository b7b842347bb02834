"""What can go wrong between a person and the farm: the farm refuses (and says why and what next), or cannot be reached."""

from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError


class FramelendError(Exception):
    """Everything this package raises on purpose."""


class FarmUnreachable(FramelendError):
    """No answer from the farm's address."""


class FarmMoved(FramelendError):
    """The address sends on to another one."""


class LocalProblem(FramelendError):
    """Something here, on this machine, is not as it must be."""


class Problem(BaseModel):
    """A problem document (RFC 9457); `fault` is "request" or "farm", `next` says what to do."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str = "Refused"
    status: int = 0
    detail: str = ""
    fault: str = ""
    next: str = ""


class FarmProblem(FramelendError):
    """The farm refused; `problem` says why, whose fault it is, and what to do next."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem

    @property
    def code(self) -> str:
        """The last word of the type: stable, for programs."""
        return self.problem.type.rsplit(":", 1)[-1]

    @property
    def status(self) -> int:
        return self.problem.status


def of(answer: httpx.Response) -> FarmProblem:
    """From any answer that is none to the question; what is no problem document comes from something that is no farm."""
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            return FarmProblem(Problem.model_validate_json(answer.content))
        except ValidationError:
            pass
    if answer.is_success and answer.headers.get("content-type", "").startswith("application/json"):
        detail = "The answer is none that this version understands. Check the farm's address, and that framelend is up to date."
        return FarmProblem(Problem(status=answer.status_code, title="Not understood", detail=detail))
    detail = f"Something that is not a Framelend farm answered with status {answer.status_code}. Check the farm's address."
    return FarmProblem(Problem(status=answer.status_code, title="No farm here", detail=detail, next="Check the address."))


def listed(problem: Problem) -> list[str]:
    """The places a refused request was wrong in."""
    errors: Any = (problem.model_extra or {}).get("errors") or []
    return [f"{one.get('where')}: {one.get('what')}" for one in errors if isinstance(one, dict)]
