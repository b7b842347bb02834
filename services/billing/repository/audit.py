"""The books against themselves: balances rebuilt from the postings of one moment, compared with what is kept beside them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo.read_concern import ReadConcern

from services.billing.domain.job import Stage
from services.billing.domain.ledger import may_be_negative

FIELDS = ("available_micro", "held_micro", "pending_micro", "payable_micro", "debt_micro")
JOBS_AT_ONCE = 2_000
SECONDS = 60.0
"""For all postings there are: as long as the server lets a transaction live. It holds no lock, and nobody waits for it."""


@dataclass(frozen=True)
class Report:
    """`ledger_sum` must be 0 and `wrong` empty; `balances` are those of the farm's own accounts and of all people together."""

    ledger_sum: int
    balances: dict[str, int]
    wrong: tuple[str, ...]


class Audit:
    """`database` is billing's; jobs are compared `at_once` so many."""

    def __init__(self, database: Any, at_once: int = JOBS_AT_ONCE) -> None:
        self._at_once = at_once
        self._database, self._client = database, database.client

    async def run(self) -> Report:
        """Reads postings, accounts and open jobs at one point in time."""
        with pymongo.timeout(SECONDS):
            return await self._run()

    async def _run(self) -> Report:
        async with await self._client.start_session() as session, session.start_transaction(read_concern=ReadConcern("snapshot")):
            rebuilt = await self._rebuilt(session)
            kept = await self._database["accounts"].find({}, dict.fromkeys(FIELDS, 1), session=session).to_list(None)
            held_wrong = [one async for jobs in self._jobs(session) for one in _held_wrong(jobs, await self._held(jobs, session))]
        wrong = [*_negative(rebuilt), *_accounts(rebuilt, kept), *held_wrong]
        return Report(sum(rebuilt.values()), _summed(rebuilt), tuple(wrong))

    async def _rebuilt(self, session: Any) -> dict[str, int]:
        stages = [{"$unwind": "$legs"}, {"$group": {"_id": "$legs.account", "sum": {"$sum": "$legs.amount"}}}]
        found = await self._database["postings"].aggregate(stages, session=session).to_list(None)
        return {row["_id"]: row["sum"] for row in found}

    async def _jobs(self, session: Any) -> AsyncIterator[list[dict[str, Any]]]:
        """All that are open, so many at a time."""
        query = {"stage": {"$ne": Stage.SETTLED.value}}
        shown = {"account": 1, "held_micro": 1, "charged_micro": 1}
        cursor = self._database["jobs"].find(query, shown, session=session, batch_size=self._at_once)
        while page := await cursor.to_list(self._at_once):
            yield page

    async def _held(self, jobs: list[dict[str, Any]], session: Any) -> dict[str, int]:
        """Job → what the postings say is held for it and not charged."""
        stages = [
            {"$match": {"job": {"$in": [job["_id"] for job in jobs]}}},
            {"$unwind": "$legs"},
            {"$match": {"legs.account": {"$regex": "^renter:.*:held$"}}},
            {"$group": {"_id": "$job", "sum": {"$sum": "$legs.amount"}}},
        ]
        found = await self._database["postings"].aggregate(stages, session=session).to_list(None)
        return {row["_id"]: row["sum"] for row in found}


def _negative(rebuilt: dict[str, int]) -> list[str]:
    return [f"{account} is {sum}" for account, sum in rebuilt.items() if sum < 0 and not may_be_negative(account)]


def _accounts(rebuilt: dict[str, int], kept: list[dict[str, Any]]) -> list[str]:
    wrong = []
    beside = {document["_id"]: document for document in kept}
    people = {account.split(":")[1] for account in rebuilt if account.startswith(("renter:", "lender:"))}
    for owner in people | set(beside):
        for field in FIELDS:
            role = "renter" if field in ("available_micro", "held_micro") else "lender"
            posted = rebuilt.get(f"{role}:{owner}:{field.removesuffix('_micro')}", 0)
            shown = beside.get(owner, {}).get(field, 0) * (-1 if field == "debt_micro" else 1)
            if posted != shown:
                wrong.append(f"{owner}: {field} is kept as {shown} and posted as {posted}")
    return wrong


def _held_wrong(jobs: list[dict[str, Any]], held: dict[str, int]) -> list[str]:
    return [
        f"job {job['_id']}: {job['held_micro'] - job['charged_micro']} kept as held, {held.get(job['_id'], 0)} posted"
        for job in jobs
        if job["held_micro"] - job["charged_micro"] != held.get(job["_id"], 0)
    ]


def _summed(rebuilt: dict[str, int]) -> dict[str, int]:
    """`renter:ada:held` → `renter:held`: metrics never name a person."""
    sums: dict[str, int] = {}
    for account, amount in rebuilt.items():
        role, *_, last = account.split(":")
        sums[f"{role}:{last}"] = sums.get(f"{role}:{last}", 0) + amount
    return sums
