"""One-time codes, by the account that made them: one document each, so that an account's limits hold however many ask at once."""

from services.chassis.repository import SavedThenTold, Unknown
from services.intake.domain import codes as domain
from services.intake.domain.codes import Lender, Terms


class Codes:
    def __init__(self, saved: SavedThenTold[Lender]) -> None:
        self.saved = saved

    async def ensure_indexes(self) -> None:
        await self.saved.collection.create_index("codes.hash", name="code")

    async def make(self, account: str, hash: str, terms: Terms) -> None:
        """Raises Refused above the account's limits."""
        await self.saved.update_or_add(account, lambda lender, now: (domain.made(lender, hash, now, terms), []))

    async def owner(self, hash: str) -> str | None:
        """The account that made this code."""
        found = await self.saved.collection.find_one({"codes.hash": hash}, {"_id": 1})
        return str(found["_id"]) if found else None

    async def use(self, account: str, hash: str, name: str, secret_hash: str) -> str:
        """The machine's id. Raises Refused."""
        try:
            await self.saved.update(account, lambda lender, now: domain.used(account, lender, hash, name, secret_hash, now))
        except Unknown:
            raise domain.unknown_code() from None
        return domain.agent_of(hash)

    async def forget(self, account: str, agent: str) -> None:
        """A machine of this account is gone for good."""
        if await self.saved.get(account) is not None:
            await self.saved.update(account, lambda lender, _: (domain.without(lender, agent), []))
