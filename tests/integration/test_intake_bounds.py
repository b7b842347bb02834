"""How much of intake one account may keep busy: requests that wait, and uploads that nobody finishes."""

import asyncio
from typing import Any

from contracts import events as e
from services.intake.domain import uploads
from services.intake.http.desk import MOST_OPEN
from tests.integration.intake_stage import (  # noqa: F401
    Person,
    Stage,
    the_renter,
    the_stage,
)
from tests.integration.test_intake_doors import problem
from tests.waiting import until


async def test_an_account_has_so_many_requests_waiting_at_once_and_no_more(stage: Stage, renter: Person) -> None:
    job = await stage.a_job(renter)
    params = {"wait": 4, "after": 10**9}
    answers = await asyncio.gather(*(renter.get(f"/v1/jobs/{job}", params=params) for _ in range(MOST_OPEN + 5)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == 5
    for answer in refused:
        problem(answer, 429, "too-many-waits")
    assert (await renter.get(f"/v1/jobs/{job}", params={**params, "wait": 0.1})).status_code == 200, "they have ended"


async def test_uploads_that_are_not_finished_are_bounded_also_when_all_are_announced_at_once(stage: Stage) -> None:
    renter = await stage.a_person()
    asked = [{"bytes": uploads.MOST_OPEN_BYTES // 20, "sha256": f"{number:064x}"} for number in range(25)]
    answers = await asyncio.gather(*(renter.post("/v1/uploads", one) for one in asked))
    refused = [one for one, answer in zip(asked, answers, strict=True) if answer.status_code != 202]
    assert len(refused) == 5
    problem(await renter.post("/v1/uploads", refused[0]), 429, "too-many-uploads")
    known = next(at for at, answer in enumerate(answers) if answer.status_code == 202)
    upload = answers[known].json()["id"]
    assert (await renter.post("/v1/uploads", asked[known])).json()["id"] == upload, "one that is known is no further one"
    await stage.world.say("storage", e.BundleRejected(upload=upload, account=renter.id, code="expired", text="too late"))
    await until(lambda: _taken(renter, refused[0]), "there is room again")


async def _taken(renter: Person, asked: dict[str, Any]) -> bool:
    return (await renter.post("/v1/uploads", asked)).status_code == 202
