"""The live page of one job, and the passes that open it in a browser."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape
from pydantic import BaseModel

from services.intake.domain import passes
from services.intake.domain.passes import LINK_LIFE, PAGE_LIFE, Pass
from services.intake.domain.refusals import Refused, Why
from services.intake.http.desk import COOKIE, Desk, OwnJob, TheDesk

HERE = Path(__file__).resolve().parent.parent
STATIC = {"job.js": "text/javascript", "words.js": "text/javascript", "job.css": "text/css", "icon.svg": "image/svg+xml"}
router = APIRouter(tags=["page"])


class PageLink(BaseModel):
    """Opens the job's page in a browser, however often, within `seconds_valid`; the page then stays open for hours."""

    path: str
    seconds_valid: int


_PAGES = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(default=True))


@router.post("/v1/jobs/{job}/page-links", status_code=201, summary="A link to the job's page")
async def page_link(job: str, own_job: OwnJob, desk: TheDesk) -> PageLink:
    until = await desk.clock.now() + LINK_LIFE
    text = passes.sealed(Pass(passes.LINK, own_job.state.account, own_job.id, until), desk.page_key)
    return PageLink(path=f"/jobs/{own_job.id}/open?pass={text}", seconds_valid=int(LINK_LIFE.total_seconds()))


@router.get("/jobs/{job}/open", include_in_schema=False)
async def open_page(request: Request, job: str, desk: TheDesk, text: Annotated[str, Query(alias="pass")] = "") -> Response:
    """Exchanges the pass in the address for one in a cookie that scripts cannot read, and takes it out of the address."""
    now = await desk.clock.now()
    found = passes.opened(text, passes.LINK, job, desk.page_key, now)
    if found is None or await desk.memory.jobs.of(found.account, job) is None:
        return _closed(desk)
    value = passes.sealed(Pass(passes.PAGE, found.account, job, now + PAGE_LIFE), desk.page_key)
    answer = RedirectResponse(f"/jobs/{job}", 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    for path in (f"/jobs/{job}", f"/v1/jobs/{job}"):
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, value, int(PAGE_LIFE.total_seconds()), path=path, httponly=True, secure=secure, samesite="lax")
    return answer


@router.get("/jobs/{job}", include_in_schema=False)
async def page(request: Request, job: str, desk: TheDesk) -> Response:
    found = passes.opened(request.cookies.get(COOKIE, ""), passes.PAGE, job, desk.page_key, await desk.clock.now())
    saved = await desk.memory.jobs.of(found.account, job) if found else None
    if saved is None:
        return _closed(desk)
    text = _PAGES.get_template("job.html").render(job=saved.id, name=saved.state.name)
    return HTMLResponse(text, headers=_headers(desk))


@router.get("/static/{name}", include_in_schema=False)
async def static(name: str) -> Response:
    if name not in STATIC:
        raise Refused(Why.UNKNOWN, "no-such-file", "There is no such file.", "Look at the page that named it.")
    headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
    return FileResponse(HERE / "static" / name, media_type=STATIC[name], headers=headers)


def _closed(desk: Desk) -> Response:
    return HTMLResponse(_PAGES.get_template("closed.html").render(), 404, headers=_headers(desk))


def _headers(desk: Desk) -> dict[str, str]:
    pictures = f"'self' {desk.store_origin}" if desk.store_origin else "'self' https:"
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {pictures}; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
