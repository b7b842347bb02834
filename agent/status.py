"""How the agent stands, for its owner: what it does, why it does not, what it did today. As JSON, and as lines for people."""

from collections.abc import Callable
from typing import Any

from agent.desk import Desk
from agent.domain.comfort import Stance, unknown
from agent.process import GIVES_UP
from agent.standing import Standing
from agent.workplace import Workplace
from agent.yielding import ByHand, Yielding
from contracts.events import AgentOrder, FarmOrder
from contracts.values import MICRO

SHOWN = 5
FARM = {
    FarmOrder.PAUSE: "the farm is paused by its operator: nothing new is given out",
    FarmOrder.STOP: "the farm is stopped by its operator: nothing is rendered until it is resumed",
}
STARTING = "it is only starting"
ASKING = "it takes only what you say yes to: `framelend offers` lists what waits for you"
WAITING = (
    "waiting for work: the farm has none for this machine at the moment (`framelend agents` tells if something is amiss with it)"
)


class Status:
    """`answer` is what the owner's line says to a request."""

    def __init__(
        self, place: Workplace, desk: Desk, standing: Standing, yielding: Yielding, shut: Callable[[], str | None]
    ) -> None:
        """`shut`: why the agent is not in the broker, None while it is."""
        self._place, self._desk, self._standing, self._yielding = place, desk, standing, yielding
        self._shut = shut

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        wrong = carried_out(request, self._yielding)
        return self.told() if wrong is None else {"error": wrong}

    def told(self) -> dict[str, Any]:
        in_hand, settings = self._desk.in_hand(), self._place.settings
        reasons = self._reasons()
        return {
            "agent": self._place.agent,
            "state": self._state(bool(reasons), bool(in_hand)),
            "reasons": reasons or ([] if in_hand else [ASKING if settings.accept.by_hand else WAITING]),
            "unknown": list(unknown(self._yielding.rules, self._yielding.facts)),
            "connected": self._shut() is None,
            "lent": {
                "slots": settings.agent_slots,
                "cores": settings.agent_cpus,
                "memory_bytes": settings.agent_memory_bytes,
                "priority": settings.agent_priority,
                "executor": settings.agent_executor,
            },
            "gives_up": GIVES_UP if settings.agent_executor == "process" else None,
            "gpus": [gpu.model_dump(mode="json") for gpu in self._desk.gpus],
            "gpus_idle": list(self._standing.gpus_idle),
            "attempts": [one.model_dump(mode="json") for one in in_hand],
            "resources": self._place.meters.told(),
            "refused": [{"at": at.isoformat(), "job": job, "why": why} for at, job, why in self._desk.refused],
            "today": self._place.journal.today(),
            "unconfirmed_events": self._place.journal.depth(),
        }

    def _reasons(self) -> list[str]:
        """Every one that keeps it from taking work now."""
        shut = self._shut()
        wrong = [] if shut is None else [f"{shut}; what is finished is kept until it is let in again"]
        if self._standing.wrong is not None:
            wrong.append(self._standing.wrong)
        elif not self._standing.looked:
            wrong.append("it is still looking at Docker and measuring this machine")
        if not self._desk.open:
            wrong.append("the agent is shutting down")
        order = self._desk.order
        if order is not None and order.order is not AgentOrder.ENABLE:
            wrong.append(f"it was told to {order.order} by {order.by}; `framelend agents enable {order.agent}` ends that")
        if self._desk.farm is not None and self._desk.farm.order is not FarmOrder.RESUME:
            wrong.append(FARM[self._desk.farm.order])
        reason = self._yielding.mood.reason
        return [*wrong, *([reason] if reason else [])]

    def _state(self, is_kept: bool, is_busy: bool) -> str:
        stance = self._yielding.mood.stance
        if stance is not Stance.LENDING:
            return "frozen" if stance is Stance.FROZEN and is_busy else "paused"
        if is_kept and not is_busy:
            return "not ready"
        return "rendering" if is_busy else "idle"


def carried_out(request: dict[str, Any], hand: ByHand | Yielding) -> str | None:
    """An order to pause or to resume. What is wrong with the request, None if nothing is."""
    match request.get("order", "status"):
        case "status":
            pass
        case "pause":
            minutes = request.get("minutes")
            if minutes is not None and not (isinstance(minutes, int | float) and 0 < minutes <= 1_000_000):
                return "minutes must be a number above 0"
            hand.pause(minutes)
        case "resume":
            hand.resume()
        case _:
            return "there are only status, pause and resume"
    return None


def early(request: dict[str, Any], agent: str, shut: str | None, by_hand: ByHand) -> dict[str, Any]:
    """The answer while there is no Status yet: the machine is its owner's already."""
    wrong = carried_out(request, by_hand)
    return not_yet(agent, shut, by_hand.words()) if wrong is None else {"error": wrong}


def not_yet(agent: str, shut: str | None, paused: str | None = None) -> dict[str, Any]:
    """Before the agent has found its place after the broker has let it in for the first time."""
    reasons = [f"{shut}; it is tried again all the time" if shut else STARTING, *([paused] if paused else [])]
    return {"agent": agent, "state": "not ready", "reasons": reasons}


def lines(told: dict[str, Any]) -> list[str]:
    """The same, to be read."""
    found = [f"{told['agent']}: {told['state']}"]
    found += [f"  because {reason}" for reason in told["reasons"]]
    door = [f"tells Prometheus its numbers at {told['metrics']}"] if "metrics" in told else []
    if "lent" not in told:
        return found + door
    found += [f"  WITHOUT A SANDBOX: {told['gives_up']}"] if told["gives_up"] else []
    found += [f"  cannot be known on this machine: {what}" for what in told["unknown"]]
    found += [_lent(told["lent"]), *_gpus(told), *map(_attempt, told["attempts"]), _today(told["today"])]
    return found + door + [f"refused at {one['at'][:19]}Z: job {one['job']}: {one['why']}" for one in told["refused"][-SHOWN:]]


def _lent(lent: dict[str, Any]) -> str:
    memory = lent["memory_bytes"] / 1e9
    return f"lends {lent['cores']:g} cores and {memory:.1f} GB to {lent['slots']} chunks at a time, priority {lent['priority']}"


def _gpus(told: dict[str, Any]) -> list[str]:
    measured = [gpu for gpu in told["gpus"] if gpu["benchmark"] is not None]
    return [*(f"lends GPU {gpu['name']}, {gpu['memory_bytes'] / 1e9:.1f} GB" for gpu in measured), *told.get("gpus_idle", ())]


def _today(today: dict[str, Any]) -> str:
    """What is earned only the farm knows: frames are verified there."""
    work = f"{today['rendered']} frames rendered in {today['cpu_seconds'] / 60:.1f} CPU minutes, {today['delivered']} delivered"
    return f"today: {work}, worth {today['expected_micro'] / MICRO:.4f} credits once verified (paid: `framelend earnings`)"


def _attempt(one: dict[str, Any]) -> str:
    frame = "" if one["frame"] is None else f", frame {one['frame']} since {one['frame_started_seconds_ago']:.0f} s"
    return f"job {one['job']}{frame}: {one['text']}"
