"""What a world is made of: who is there, what is asked for, what goes wrong. Everything else follows from the seed."""

import math
import random
from dataclasses import dataclass, field

SPREAD = 0.5
"""Standard deviation of the logarithm of the machines' speeds; they lie between a quarter and four times the reference."""


@dataclass(frozen=True)
class Order:
    """A renter's job: `seconds` is the mean work of a frame in WU, `deadline` counts from its submission."""

    job: str
    account: str
    frames: int
    seconds: float
    at: float = 0.0
    bid: int = 100
    deadline: float | None = None
    is_level: bool = False
    """Every frame costs the same."""
    costs: tuple[int, ...] = ()
    """Micro-WU of every frame, where that is known."""


@dataclass(frozen=True)
class Weather:
    """What goes wrong. Shares and chances are fractions."""

    slow: float = 0.0
    """Machines that work at `slowness` of what their benchmark showed."""
    slowness: float = 0.25
    vanish_per_hour: float = 0.0
    """Machines that leave for good without a word, of those that are there."""
    liars: float = 0.0
    """Machines that say they are four times as fast as they are, and that their frames took a quarter of the time."""
    broken: float = 0.0
    """Machines that fail whatever they are given."""
    hanging: float = 0.0
    """Machines that take their chunks, pulse, and render nothing."""
    boasting: float = 0.0
    """Machines that say at once that they are done, and render nothing."""
    lost_mail: float = 0.0
    """Assignments and stops that never arrive."""
    lost_pulses: float = 0.0
    repeated: float = 0.0
    """Messages that arrive twice."""
    latency: float = 0.05
    """Mean seconds from saying to hearing, exponential: later messages overtake earlier ones."""


CALM = Weather()
ROUGH = Weather(slow=0.1, vanish_per_hour=0.2, liars=0.03, lost_mail=0.005, lost_pulses=0.02, repeated=0.01)


@dataclass(frozen=True)
class Nature:
    """What one machine is really like. `rate`: WU a second; `shown`: what its benchmark says; `leaves_at`: seconds."""

    rate: float
    shown: float
    told: float
    """Real wall seconds times this is what it says its frames took."""
    leaves_at: float = math.inf
    is_broken: bool = False
    is_hanging: bool = False
    is_boasting: bool = False


@dataclass(frozen=True)
class Setting:
    seed: int
    agents: int
    orders: tuple[Order, ...]
    weather: Weather = field(default_factory=Weather)
    is_equal: bool = False
    """All machines are as fast as the reference."""
    machines: tuple[Nature, ...] = ()
    """The lenders' machines, where they are known."""
    tick: float = 0.1
    """What arrives within so many seconds is taken in one batch."""
    longest: float = 5 * 86_400.0


def natures(setting: Setting) -> list[Nature]:
    """The lenders' machines of this world; the same for every policy."""
    chance = random.Random(f"machines {setting.seed}")
    return [_nature(setting, chance) for _ in range(setting.agents)]


def _nature(setting: Setting, chance: random.Random) -> Nature:
    weather = setting.weather
    speed = 1.0 if setting.is_equal else min(4.0, max(0.25, chance.lognormvariate(0.0, SPREAD)))
    noise, kind, lifetime = chance.uniform(0.95, 1.05), chance.random(), chance.expovariate(1.0)
    hazard = -math.log(1.0 - weather.vanish_per_hour) / 3600.0
    leaves = lifetime / hazard if hazard else math.inf
    if kind < weather.slow:
        return Nature(speed * weather.slowness, speed * noise, 1.0, leaves)
    if kind < weather.slow + weather.liars:
        return Nature(speed, 4.0 * speed * noise, 0.25, leaves)
    ill = kind - weather.slow - weather.liars
    hangs = weather.broken + weather.hanging
    is_hanging, is_boasting = weather.broken <= ill < hangs, hangs <= ill < hangs + weather.boasting
    return Nature(speed, speed * noise, 1.0, leaves, ill < weather.broken, is_hanging, is_boasting)


def scene(setting: Setting, order: Order) -> list[int]:
    """Micro-WU of every frame of a job: waves and cuts along the timeline, and a little noise from frame to frame."""
    if order.is_level:
        return [int(order.seconds * 1e6)] * order.frames
    chance = random.Random(f"scene {setting.seed} {order.job}")
    waves = [(chance.uniform(0.1, 0.4), chance.uniform(0.5, 3.0), chance.uniform(0.0, math.tau)) for _ in range(2)]
    cuts = sorted((chance.random(), chance.uniform(0.7, 1.4)) for _ in range(chance.randint(0, 3)))
    costs = [_shape(at / order.frames, waves, cuts) * chance.lognormvariate(0.0, 0.08) for at in range(order.frames)]
    scale = order.seconds * 1e6 * order.frames / sum(costs)
    return [max(1, int(cost * scale)) for cost in costs]


def _shape(at: float, waves: list[tuple[float, float, float]], cuts: list[tuple[float, float]]) -> float:
    height = 1.0 + sum(size * math.sin(math.tau * often * at + phase) for size, often, phase in waves)
    for where, factor in cuts:
        if at >= where:
            height *= factor
    return max(0.1, height)
