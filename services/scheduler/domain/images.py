"""The farm's work names one render image, and a machine renders with exactly the one its owner agreed to: who has another gets
nothing, and must be able to read why."""

from collections.abc import Collection

ANOTHER = "the farm's work names another render image"


def lacks(has: Collection[str], named: str) -> bool:
    """Whether a machine has render images and not the one that is named ("": any will do)."""
    return bool(has and named) and named not in has


def another(named: str) -> str:
    return f"{ANOTHER}: load {named} and start the agent with it as FRAMELEND_AGENT_IMAGE"


def is_stale(reason: str, has: Collection[str], named: str) -> bool:
    """Whether a machine's reason to be idle must be looked at again because the named image is another one than before."""
    wanted = another(named) if lacks(has, named) else ""
    return reason != wanted if wanted else reason.startswith(ANOTHER)
