"""One world lived to its end under one policy, boiled down to the figures; runs in a process of its own (`apart`)."""

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import structlog

from contracts.values import Feasibility
from services.scheduler.dispatch import Dispatch
from services.scheduler.domain.policy import Policy
from tests.sim import measures, naive, worlds
from tests.sim.setting import Setting
from tests.sim.world import World

SETTINGS: dict[str, Callable[[int], Setting]] = {
    "calm": worlds.calm,
    "rough": worlds.rough,
    "market": worlds.market,
    "queue": worlds.queue,
    "bids": worlds.bids,
    "huge": worlds.huge,
}
POLICIES: dict[str, tuple[Policy, type[Dispatch]]] = {
    "ours": (Policy(), Dispatch),
    "naive": (naive.fixed(Policy()), naive.Fifo),
}


@dataclass(frozen=True)
class Trial:
    """What came of it; figures that a world cannot have are None. `frames`: how many were stored."""

    world: str
    seed: int
    policy: str
    frames: int
    wall: float
    """Real seconds it took to simulate."""
    ratio: float | None = None
    makespan: float | None = None
    duplicate: float | None = None
    aim: float | None = None
    kept: tuple[int, int] | None = None
    jain: float | None = None
    waits: tuple[float, ...] = ()
    """Virtual seconds from acceptance to the first chunk, of each short job behind a long one."""
    least: float | None = None
    """What the lowest bidder had of a fair share, when the highest one was through."""
    feasible: tuple[int, int] | None = None
    """Deadlines that were said to be feasible: how many were kept, of how many; then those said to be impossible."""
    impossible: tuple[int, int] | None = None


FORKS = get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


def apart(trial: Callable[..., Trial], *args: str | int) -> Trial:
    """In a new process, forked from one that has imported everything: its end takes the world away, which no collector has to
    look through, and every world finds the memory as the first one did."""
    with ProcessPoolExecutor(1, FORKS) as process:
        return process.submit(trial, *args).result()


def live(world: str, seed: int, policy: str) -> Trial:
    return of(world, seed, policy, SETTINGS[world](seed))


def of(name: str, seed: int, policy: str, setting: Setting) -> Trial:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=True)
    rules, dispatch = POLICIES[policy]
    world, began = World(setting, rules, dispatch), time.monotonic()
    gc.disable()  # a sixth of the time, and what a world makes lives as long as the process
    short = [job for job in world.orders if job.startswith("short-")]
    bids = sorted((job for job in world.orders if job.startswith("bid-")), key=lambda job: world.orders[job].bid)
    asyncio.run(world.run(until=short or bids[-1:]))
    wall, frames = time.monotonic() - began, sum(map(len, world.stored.values()))
    if short:
        return Trial(name, seed, policy, frames, wall, waits=tuple(world.first[job] - world.accepted[job] for job in short))
    if bids:
        return Trial(name, seed, policy, frames, wall, least=measures.least_share(world, bids))
    measures.verify(world)
    found = measures.outcome(world)
    kept = measures.deadlines(world) if name == "market" else None
    equal = [job for job in world.orders if job.startswith("equal-")]
    jain = measures.fairness(world, equal) if equal else None
    told = {one: measures.said(world, one) if name == "market" else None for one in Feasibility}
    return Trial(
        name, seed, policy, frames, wall, found.ratio, found.makespan, found.duplicate, found.aim, kept, jain,
        feasible=told[Feasibility.FEASIBLE], impossible=told[Feasibility.IMPOSSIBLE],
    )  # fmt: skip


def speed_up(agents: int) -> Trial:
    return of(f"{agents} equal", 1, "ours", worlds.equals(1, agents))
