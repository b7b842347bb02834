"""Indexes of a farm from before, which nobody asks any more and every write would pay for."""

from collections.abc import Collection
from typing import Any

from pymongo.errors import OperationFailure

INDEX_NOT_FOUND = 27


async def drop_former(collection: Any, names: Collection[str]) -> None:
    """Those of them that are there; also when another process, upgrading too, has been faster."""
    for name in set(names) & set(await collection.index_information()):
        try:
            await collection.drop_index(name)
        except OperationFailure as problem:
            if problem.code != INDEX_NOT_FOUND:
                raise
