"""The databases of one world. Each service reaches its own alone, as in a farm: what reaches further fails in the tests."""

from typing import Any
from uuid import uuid4

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import MongoClient

from infra.local.farmfile import FarmFile


class Databases:
    """`service-token` each. A service's user is made when its address is asked for first."""

    def __init__(self, farm: FarmFile, token: str) -> None:
        self._farm, self._token = farm, token
        self._operator: Any = AsyncIOMotorClient(farm.mongo_admin_url, tz_aware=True)
        self._addresses: dict[str, str] = {}

    def name(self, service: str) -> str:
        return f"{service}-{self._token}"

    def of(self, service: str) -> Any:
        """As the operator sees it (motor)."""
        return self._operator[self.name(service)]

    def address(self, service: str) -> str:
        """With the service's own user."""
        if service not in self._addresses:
            self._addresses[service] = self._with_a_user(self.name(service))
        return self._addresses[service]

    def _with_a_user(self, name: str) -> str:
        secret = uuid4().hex
        with MongoClient[dict[str, Any]](self._farm.mongo_admin_url) as operator:
            operator.admin.command("createUser", name, pwd=secret, roles=[{"role": "readWrite", "db": name}])
        return self._farm.mongo_url(name, secret)

    async def drop(self) -> None:
        for service in self._addresses:
            await self._operator.admin.command("dropUser", self.name(service))
        for name in await self._operator.list_database_names():
            if name.endswith(self._token):
                await self._operator.drop_database(name)
        self._operator.close()
