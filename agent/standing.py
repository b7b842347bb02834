"""What the agent says of itself: ready with so many slots, alive with these attempts, open to health checks."""

import asyncio
import os
from collections.abc import Collection, Iterable

import psutil
import structlog

from agent import metrics
from agent.benchmark import BenchmarkFailed, NotNow, measured, measured_gpu
from agent.container import EngineAway
from agent.desk import Desk
from agent.domain.gpus import Card, idle, lent
from agent.settings import AgentSettings
from agent.workplace import Workplace
from contracts.events import AgentPulse, AgentReady
from contracts.values import Benchmark, Gpu, Hardware

log = structlog.get_logger()

PULSE_SECONDS = 10.0
ENGINE_SECONDS = 30.0
AGAIN_SECONDS = 1.0
BUNDLES = 100
LONGEST_SECONDS = 10_000_000.0  # 116 days: more than that no pulse can say
DISK_FULL = "the disk that holds the agent's folder is full"
NOT_MEASURED = "not measured yet: that waits until its owner's rules lend the machine"


class Standing:
    """Of one run of the process, which has the id `run`."""

    def __init__(self, place: Workplace, desk: Desk, run: str, version: str) -> None:
        self._place, self._desk, self._run, self._version = place, desk, run, version
        self._began = place.now()
        self._benchmark: Benchmark | None = None
        self._gpu_benchmarks: dict[str, Benchmark | None] = {}
        self.gpus_idle: tuple[str, ...] = ()
        """Why cards of this machine are not lent."""
        self.looked = False
        self.wrong: str | None = None
        """Why no work can be taken; None when it can, and until it was looked at for the first time."""
        self.said = False

    async def look_after_engine(self) -> None:
        """For ever: whether Docker answers and has the agreed image; measures the machine once it has."""
        while True:
            first, found = not self.looked, await self._what_is_wrong()
            before, self.wrong = self.wrong, found  # `_ready` may have said something else during the look
            self.looked = True
            metrics.READY.set(0 if self.wrong else 1)
            if first or self.wrong != before:
                log.info("ready for work" if self.wrong is None else "not ready for work", why=self.wrong)
                self._desk.wanted.set()
            await self._pause()

    async def _pause(self) -> None:
        """Until the next look: a short while when something is wrong, which `_ready` may find meanwhile, and no longer than to
        the moment when what it waits for is there."""
        began = self._place.now()
        while (left := began + self._seconds_between_looks() - self._place.now()) > 0:
            if self.wrong == NOT_MEASURED and not self._desk.resting:
                return
            await asyncio.sleep(min(left, AGAIN_SECONDS))

    def _seconds_between_looks(self) -> float:
        return ENGINE_SECONDS if self.wrong in (None, NOT_MEASURED) else ENGINE_SECONDS / 6

    async def _what_is_wrong(self) -> str | None:
        image, place = self._place.settings.agent_image, self._place
        if image is None:
            return "no render image was agreed to (FRAMELEND_AGENT_IMAGE)"
        place.journal.reserve.look()
        if place.journal.reserve.full:
            return DISK_FULL
        try:
            return await self._what_the_engine_lacks(image)
        except EngineAway as away:
            return str(away)
        except BenchmarkFailed as failed:
            return f"the benchmark frame did not render: {failed}"
        except NotNow:
            return NOT_MEASURED

    async def _what_the_engine_lacks(self, image: str) -> str | None:
        place = self._place
        if swept := await place.engine.sweep(self._desk.rendering):
            log.warning("containers nobody wanted any more were removed", containers=swept)
        if lacking := await place.engine.lacking():
            return f"Docker cannot bound {', '.join(lacking)} on this machine; `framelend-agent doctor` says how to mend it"
        if not await place.engine.has(image):
            self._desk.images = ()
            return f"the render image {image[:19]}… is not on this machine"
        if self._benchmark is None:
            cpus, kept = place.settings.slot_cpus, place.folders.benchmark
            self._benchmark = await measured(place.engine, image, place.agent, cpus, kept, self._may_measure)
        self._desk.gpus = await self._gpus()
        gpu_image = place.settings.agent_gpu_image
        self._desk.images = (image, gpu_image) if gpu_image and any(gpu.benchmark for gpu in self._desk.gpus) else (image,)
        return None

    def _may_measure(self, is_under_way: bool) -> bool:
        """A load or a heat that it has caused itself does not end it: it would never be done."""
        return not (self._desk.is_owners if is_under_way else self._desk.resting)

    async def _gpus(self) -> tuple[Gpu, ...]:
        """What is lent of this machine's GPUs, measured where the GPU image is here. One that fails is not used by this run."""
        place, cards = self._place, await self._place.meters.gpus.cards()
        image, chosen = place.settings.agent_gpu_image, place.settings.agent_gpus
        offered: tuple[Gpu, ...] = ()
        if is_here := image is not None and bool(cards) and await place.engine.has(image):
            await self._measure(image, {gpu.id for gpu in lent(cards, chosen, {})} - self._gpu_benchmarks.keys(), cards)
            offered = lent(cards, chosen, {id: found for id, found in self._gpu_benchmarks.items() if found})
        self.gpus_idle = idle(cards, chosen, image, is_here, offered)
        return offered

    async def _measure(self, image: str, wanted: Collection[str | None], cards: Iterable[Card]) -> None:
        place = self._place
        for card in cards:
            if card.id in wanted:
                asked = (place.engine, image, place.agent, card, place.folders.root)
                self._gpu_benchmarks[card.id] = await measured_gpu(*asked, self._may_measure)

    async def tell_ready(self) -> None:
        """For ever: says readiness whenever it is wanted, always the latest, until the broker has it."""
        while True:
            await self._desk.wanted.wait()
            if not self.looked:
                await asyncio.sleep(AGAIN_SECONDS / 4)
                continue
            self._desk.wanted.clear()
            if await self._place.say(self._ready(), {}):
                self.said = True
            else:
                self._desk.wanted.set()
                await asyncio.sleep(AGAIN_SECONDS)

    async def take_leave(self) -> None:
        """The last word of this run: no slot any more, so that nothing is given to a machine that is about to go."""
        if self.said:
            await self._place.say(self._ready(), {})

    async def pulse(self) -> None:
        """For ever, once readiness was said."""
        while True:
            if self.said:
                await self._place.say(self._pulse(), {})
            await asyncio.sleep(PULSE_SECONDS)

    def _ready(self) -> AgentReady:
        settings = self._place.settings
        if self._place.journal.reserve.full:  # known at once; what else may be wrong, at the next look
            self.wrong = DISK_FULL
        return AgentReady(
            run=self._run,
            slots=0 if self._why_none() else settings.agent_slots,
            reason=self._why_none(),
            accepts=settings.acceptance,
            attempts=tuple(attempt.attempt for attempt in self._desk.in_hand()),
            ending=self._desk.ending(),
            hardware=_hardware(settings, self._desk.gpus),
            benchmark=self._benchmark,
            images=self._desk.images,
            bundles=self._place.cache.names(BUNDLES),
            version=self._version,
        )

    def _why_none(self) -> str:
        """Why no slot is offered, in words for its owner."""
        if not self._desk.open:
            return "stopped on the machine itself"
        return self.wrong or self._desk.resting

    def _pulse(self) -> AgentPulse:
        return AgentPulse(
            run=self._run,
            attempts=self._desk.in_hand(),
            load=psutil.getloadavg()[0],
            uptime_seconds=min(self._place.now() - self._began, LONGEST_SECONDS),
        )


def _hardware(settings: AgentSettings, gpus: tuple[Gpu, ...]) -> Hardware:
    """What one slot lends."""
    system = os.uname()
    named = f"{system.sysname} {system.machine}"
    return Hardware(cores=settings.slot_cpus, memory_bytes=settings.slot_memory_bytes, gpus=gpus, system=named)


def health(standing: Standing, shut: str | None) -> list[str]:
    """What keeps this agent from working; `shut`: why it is not in the broker. Measuring the machine for the first time is
    work, and that its owner has it is nothing wrong."""
    return [why for why in (shut, standing.wrong) if why not in (None, NOT_MEASURED)]
