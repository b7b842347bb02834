"""Gives the machine back to its owner when his rules say so, and takes work again when they allow it.

Looks twice a second while something renders, from the moment on when it begins, so that he has his machine within a second or so;
seldom otherwise.
"""

import asyncio
import contextlib
import json
import time
from pathlib import Path

import structlog

from agent import metrics
from agent.desk import Desk
from agent.domain import comfort
from agent.domain.attempt import FROZEN
from agent.domain.comfort import Mood, Stance
from agent.domain.gpus import hottest
from agent.sensors import Roots, Sensors
from agent.workplace import Folders, Workplace

log = structlog.get_logger()

BUSY_SECONDS, IDLE_SECONDS = 0.5, 2.0
CARDS_SECONDS = 2.0
MINUTE = 60.0


class ByHand:
    """The owner's own pause. Kept in a file: it outlives a restart of the agent."""

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        self._until = self._read()

    @classmethod
    def of(cls, folders: Folders) -> "ByHand":
        return cls(folders.root / "paused.json")

    def pause(self, minutes: float | None) -> None:
        """Until he resumes when None."""
        self._until = float("inf") if minutes is None else time.time() + MINUTE * minutes
        try:
            self._kept.write_text(json.dumps({"until": None if minutes is None else self._until}), encoding="utf-8")
        except OSError as full:
            log.warning("the pause is not kept and ends with this run", why=full.strerror)

    def resume(self) -> None:
        self._until = 0.0
        self._kept.unlink(missing_ok=True)

    def words(self) -> str | None:
        left = self._until - time.time()
        if left <= 0:
            return None
        return "paused by hand" if left == float("inf") else f"paused by hand for {left / MINUTE:.0f} more minutes"

    def _read(self) -> float:
        try:
            until = json.loads(self._kept.read_text(encoding="utf-8"))["until"]
            return float("inf") if until is None else float(until)
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0


class Yielding:
    """`mood` is how the machine stands; `facts` what was last seen."""

    def __init__(self, place: Workplace, desk: Desk, by_hand: ByHand | None = None, idle_seconds: float = IDLE_SECONDS) -> None:
        """`by_hand`: what the owner has said already. Looks every `idle_seconds` while there is no work."""
        settings, self._idle_seconds = place.settings, idle_seconds
        roots = Roots(settings.agent_proc_root, settings.agent_sys_root, settings.agent_dev_root)
        self._place, self._desk, self.rules = place, desk, settings.rules
        self._sensors = Sensors(self.rules, roots, place.engine.boxes)
        self._by_hand = by_hand or ByHand.of(place.folders)
        self._cards_celsius: float | None = None
        self.mood = Mood(since=place.now())
        self.facts = self._sensors.read(place.now(), self._by_hand.words())
        self.look()

    async def run(self) -> None:
        """For ever. The GPUs' driver may take seconds to answer: nobody waits for it."""
        await asyncio.gather(self._look_for_ever(), self._feel_for_ever())

    async def _look_for_ever(self) -> None:
        while True:
            self.look()
            self._desk.news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._desk.news.wait(), BUSY_SECONDS if self._desk.busy() else self._idle_seconds)

    async def _feel_for_ever(self) -> None:
        while True:
            await self.feel_cards()
            await asyncio.sleep(CARDS_SECONDS)

    async def feel_cards(self) -> None:
        """How hot the lent GPUs are, where a rule asks for it."""
        lent = {gpu.id for gpu in self._desk.gpus} if self.rules.hot_celsius is not None else set()
        self._cards_celsius = hottest(await self._place.meters.gpus.cards(), lent) if lent else None

    def pause(self, minutes: float | None) -> None:
        self._by_hand.pause(minutes)
        self.look()
        self._desk.news.set()

    def resume(self) -> None:
        self._by_hand.resume()
        self.look()
        self._desk.news.set()

    def look(self) -> None:
        now = self._place.now()
        self.facts = self._sensors.read(now, self._by_hand.words(), self._cards_celsius)
        before, self.mood = self.mood, comfort.decide(self.rules, self.facts, self.mood, now)
        self._desk.resting, self._desk.is_owners = self.mood.reason, self.mood.is_owners
        if self.mood.stance is not before.stance:
            self._act(self.mood)

    def _act(self, mood: Mood) -> None:
        log.info("lending" if mood.stance is Stance.LENDING else "not lending", stance=mood.stance, why=mood.reason)
        metrics.LENDING.set(mood.stance is Stance.LENDING)
        if mood.stance is Stance.FROZEN:
            self._desk.freeze()
        elif mood.stance is Stance.RESTING:
            self._desk.give_back(FROZEN)
        else:
            self._desk.thaw()
        self._desk.wanted.set()
