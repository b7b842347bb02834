"""Every error as a problem document (RFC 9457): what is wrong, whose fault it is, what to do next.

Members beyond the RFC's: `fault` ("request" or "farm"), `next` (what to do), and for unreadable input `errors` (where, what).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from opentelemetry import trace
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from services.chassis.verdicts import Verdict, verdict
from services.intake.domain.refusals import Refused, Why

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[Why, tuple[int, str]] = MappingProxyType(
    {
        Why.MALFORMED: (400, "The request cannot be read"),
        Why.UNAUTHENTICATED: (401, "Who are you?"),
        Why.FORBIDDEN: (403, "Not allowed"),
        Why.UNKNOWN: (404, "Not found"),
        Why.CONFLICT: (409, "Not possible now"),
        Why.TOO_LARGE: (413, "Too large"),
        Why.INVALID: (422, "The request makes no sense"),
        Why.TOO_MANY: (429, "Too many requests"),
        Why.LATE: (503, "No answer in time"),
    }
)


class Place(BaseModel):
    """One place in the request that is wrong."""

    where: str
    what: str


class Problem(BaseModel):
    """RFC 9457 with three members of our own."""

    type: str
    title: str
    status: int
    detail: str
    fault: str
    next: str
    errors: list[Place] | None = None


def response(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    body = problem.model_dump(exclude_none=True)
    return JSONResponse(body, problem.status, dict(headers or {}), media_type=MEDIA_TYPE)


def of(refused: Refused) -> Problem:
    status, title = STATUS[refused.why]
    fault = "farm" if refused.why is Why.LATE else "request"
    return Problem(
        type=f"urn:framelend:problem:{refused.code}",
        title=title,
        status=status,
        detail=f"{refused.text} {refused.advice}",
        fault=fault,
        next=refused.advice,
    )


def install(app: FastAPI) -> None:
    """Nothing leaves the door as any other kind of error."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Exception, _ours)


async def _refused(_: Request, refused: Exception) -> JSONResponse:
    assert isinstance(refused, Refused)
    return response(of(refused), _headers(refused))


def _headers(refused: Refused) -> dict[str, str]:
    if refused.why is Why.UNAUTHENTICATED:
        return {"WWW-Authenticate": 'Bearer realm="framelend"'}
    return {"Retry-After": "2"} if refused.why in (Why.TOO_MANY, Why.LATE) else {}


async def _unreadable(_: Request, wrong: Exception) -> JSONResponse:
    """FastAPI's own validation: not JSON at all is 400, JSON of another shape is 422. The input is not repeated."""
    assert isinstance(wrong, RequestValidationError)
    errors = wrong.errors()
    places = [Place(where=_where(error["loc"]), what=str(error["msg"])[:300]) for error in errors[:20]]
    if any(error["type"] == "json_invalid" for error in errors):
        refused = Refused(
            Why.MALFORMED, "not-json", "The body is not JSON.", "Send a JSON object, content type application/json."
        )
    else:
        first = f"{places[0].where}: {places[0].what}." if places else "It has another shape than documented."
        refused = Refused(
            Why.INVALID, "invalid-request", f"The request has a mistake. {first}", "Correct it; /openapi.json has the shapes."
        )
    return response(of(refused).model_copy(update={"errors": places}))


def _where(loc: Sequence[Any]) -> str:
    return ".".join(str(part) for part in loc)[:200]


_PLAIN: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        404: ("There is nothing at this address.", "See /openapi.json for what there is."),
        405: ("This address does not take this method.", "See /openapi.json for what it takes."),
        413: ("The body is too large.", "Files go to the store by the addresses an upload gives, not through here."),
    }
)


async def _plain(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    text, advice = _PLAIN.get(error.status_code, (str(error.detail)[:300], "See /openapi.json."))
    kind = {404: "no-such-address", 405: "no-such-method", 413: "body-too-large"}.get(error.status_code, "refused")
    title = {404: "Not found", 405: "Method not allowed", 413: "Too large"}.get(error.status_code, "Refused")
    problem = Problem(
        type=f"urn:framelend:problem:{kind}",
        title=title,
        status=error.status_code,
        detail=f"{text} {advice}",
        fault="request",
        next=advice,
    )
    return response(problem, error.headers)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    """The world's or ours: in neither case the caller's."""
    return unforeseen(error)


def unforeseen(error: Exception) -> JSONResponse:
    span = trace.get_current_span().get_span_context()
    number = f"{span.trace_id:032x}" if span.is_valid else "none"
    if verdict(error) is Verdict.WORLD:
        log.warning("cannot answer now", problem=repr(error)[:300])
        text, advice = "Something the farm rests on is away for a moment; this is our fault.", "Send the same request again soon."
        problem = _farm(503, "farm-away", "The farm is not all there", text, advice)
        return response(problem, {"Retry-After": "2"})
    log.error("request failed", exc_info=error)
    text = f"The farm made a mistake; this is our fault. Its trace is {number}."
    return response(_farm(500, "farm-mistake", "Our mistake", text, "Try again; if it stays, tell the operator the trace."))


def _farm(status: int, code: str, title: str, text: str, advice: str) -> Problem:
    return Problem(
        type=f"urn:framelend:problem:{code}", title=title, status=status, detail=f"{text} {advice}", fault="farm", next=advice
    )


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": title, "content": {MEDIA_TYPE: {}}} for status, title in STATUS.values()
}
"""For the OpenAPI document of every route."""
