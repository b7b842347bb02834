"""The HTTP application: every router, every error a problem document, one guard before all of it."""

from fastapi import FastAPI

from services.intake.http import (
    accounts,
    changes,
    downloads,
    enrolment,
    farm,
    jobs,
    lenders,
    offers,
    page,
    problems,
    resources,
    steering,
    uploads,
    watching,
)
from services.intake.http.desk import Desk

DESCRIPTION = """Accounts, uploads, jobs and earnings of a Framelend farm.

Authenticate with `Authorization: Bearer <API key>`. Errors are problem documents (RFC 9457) that say whose fault it is and what
to do next. What costs money needs an `Idempotency-Key`. What belongs to another account is answered as if it did not exist.
"""


def application(desk: Desk | None) -> FastAPI:
    """Without a desk it can only describe itself (OpenAPI)."""
    app = FastAPI(
        title="Framelend", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None, responses=problems.DOCUMENTED
    )
    app.state.desk = desk
    for part in (
        accounts,
        uploads,
        jobs,
        changes,
        steering,
        farm,
        watching,
        downloads,
        lenders,
        offers,
        resources,
        enrolment,
        page,
    ):
        app.include_router(part.router)
    problems.install(app)
    return app
