"""The worlds that policy is judged in."""

import random

from tests.sim.setting import CALM, ROUGH, Order, Setting, Weather

RENTERS = 4
DUE = 12
SHORT = 12
BIDS = (1, 100, 10_000)
TICK = 0.5
"""With a fifth of a second the makespans are the same to a thousandth, and the simulation takes a third longer."""


def film(seed: int, weather: Weather, agents: int = 100, frames: int = 20_000, seconds: float = 20.0) -> Setting:
    """One job for everybody."""
    return Setting(seed, agents, (Order("film", "ada", frames, seconds),), weather, tick=TICK)


def calm(seed: int) -> Setting:
    return film(seed, CALM)


def rough(seed: int) -> Setting:
    return film(seed, ROUGH)


def market(seed: int, weather: Weather = ROUGH, agents: int = 100, frames: int = 2_000) -> Setting:
    """Four equal renters who want everything at once, and twelve jobs with deadlines between theirs, which together need about a
    third of the farm while they last. Each has ten minutes and two to six times what it would take the whole fleet."""
    chance = random.Random(f"market {seed}")
    equal = tuple(Order(f"equal-{at}", f"renter-{at}", frames, 20.0) for at in range(RENTERS))
    return Setting(seed, agents, (*equal, *(_due(at, chance, agents) for at in range(DUE))), weather, tick=TICK)


def _due(at: int, chance: random.Random, agents: int) -> Order:
    frames = chance.randint(agents, 4 * agents)
    deadline = 600 + frames * 20.0 / agents * chance.uniform(2, 6)
    return Order(f"due-{at}", f"hurried-{at % 6}", frames, 20.0, at=chance.uniform(0, 1500), deadline=deadline)


def queue(seed: int, agents: int = 100, frames: int = 100_000, short: int = SHORT) -> Setting:
    """Ten frames behind a hundred thousand, at the same bid; by a dozen renters, one in every twelfth of a chunk's minute, for
    machines that began together end their chunks together: how long one waits depends on when he comes."""
    huge = Order("huge", "ada", frames, 5.0)
    others = (Order(f"short-{at}", f"bert-{at}", 10, 5.0, at=300.0 + 25.0 * at) for at in range(short))
    return Setting(seed, agents, (huge, *others), CALM, tick=TICK)


def bids(seed: int, weather: Weather = ROUGH, agents: int = 100, frames: int = 4_000) -> Setting:
    """Three renters who want everything at once, and bid a hundred times what the next one does."""
    orders = tuple(Order(f"bid-{bid}", f"renter-{bid}", frames, 20.0, bid=bid) for bid in BIDS)
    return Setting(seed, agents, orders, weather, tick=TICK)


def equals(seed: int, agents: int, frames: int = 2_000, seconds: float = 10.0) -> Setting:
    """So many agents of equal speed."""
    return Setting(seed, agents, (Order("film", "ada", frames, seconds, is_level=True),), CALM, is_equal=True, tick=TICK)


def huge(seed: int, agents: int = 5_000, frames: int = 1_000_000) -> Setting:
    """Two jobs, since frame numbers end at 999,999."""
    films = tuple(Order(f"film-{at}", renter, frames // 2, 6.0) for at, renter in enumerate(("ada", "bert")))
    return Setting(seed, agents, films, ROUGH, tick=TICK)
