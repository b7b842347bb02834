"""When this machine is its owner's and when it is lent: (his rules, what the sensors saw, how it stands, now) → how it stands.

Theory. An *objection* is a reason not to lend now. With the first one the agent yields at once: containers are frozen, which
costs the owner nothing but their memory, and nothing of the work is lost. When the objections end soon the same containers go on;
when they do not, the chunks are given back. Objections that cannot end soon (the hours are over) give back at once. Some end only
after a while of calm, so that a compiler's pauses do not thaw and freeze a container every second. What a sensor cannot know
never objects.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from agent.domain.hours import Hours, is_open, opens


class Stance(StrEnum):
    LENDING = "lending"
    FROZEN = "frozen"
    """Containers stand still; nothing is taken."""
    RESTING = "resting"
    """What was frozen was given back; nothing is taken."""


MOVES = {
    Stance.LENDING: (Stance.FROZEN, Stance.RESTING),
    Stance.FROZEN: (Stance.LENDING, Stance.RESTING),
    Stance.RESTING: (Stance.LENDING,),
}


class Cause(StrEnum):
    BY_HAND = "by hand"
    HOURS = "hours"
    PERSON = "person"
    PROGRAM = "program"
    """One of the owner's own programs runs, first of all his own Blender."""
    LOAD = "load"
    BATTERY = "battery"
    HEAT = "heat"


LASTING = frozenset({Cause.HOURS})
OF_WORK = frozenset({Cause.LOAD, Cause.HEAT})
"""What work of ours may have caused itself."""
CALM_SECONDS = {Cause.PROGRAM: 10.0, Cause.LOAD: 30.0, Cause.BATTERY: 10.0}
"""How long an objection must be gone. A person's has its own measure, the minutes without input; heat has two temperatures."""


@dataclass(frozen=True)
class Rules:
    """None and empty: no such rule."""

    idle_seconds: float | None = None
    """Lend only after so long without keyboard and mouse."""
    load_cores: float | None = None
    """Pause while other processes use more than this."""
    programs: tuple[str, ...] = ()
    """Pause while one of these runs outside our containers."""
    on_battery: bool = True
    """Whether to lend then."""
    hot_celsius: float | None = None
    cool_celsius: float = 0.0
    hours: Hours = ()
    give_back_seconds: float = 300.0


@dataclass(frozen=True)
class Facts:
    """What the sensors saw; None is unknown. `local` is this machine's own time of day: the owner's hours are his clock's."""

    local: datetime
    paused: str | None = None
    """By hand, in words."""
    idle_seconds: float | None = None
    other_cores: float | None = None
    program: str | None = None
    sees_all: bool = True
    """Whether every process of the machine is seen: in a container of its own the agent sees none but itself."""
    on_battery: bool | None = None
    celsius: float | None = None


@dataclass(frozen=True)
class Objection:
    cause: Cause
    text: str


@dataclass(frozen=True)
class Mood:
    """`calm_since`: since when there is no objection any more; `calm`: how long that must last."""

    stance: Stance = Stance.LENDING
    since: float = 0.0
    objections: tuple[Objection, ...] = ()
    calm_since: float | None = None
    calm: float = 0.0

    @property
    def reason(self) -> str:
        """Why it is not lending, for its owner; empty when it is."""
        if self.stance is Stance.LENDING:
            return ""
        texts = "; ".join(one.text for one in self.objections)
        return texts if self.calm_since is None else f"{texts} (over; waiting for {self.calm:.0f} s of calm)"

    @property
    def is_owners(self) -> bool:
        """It is not lending for another reason than what work of ours may have caused itself."""
        return self.stance is not Stance.LENDING and any(one.cause not in OF_WORK for one in self.objections)


def decide(rules: Rules, facts: Facts, mood: Mood, now: float) -> Mood:
    """`now` and every `since` are seconds of one monotonic clock."""
    found = objections(rules, facts, was_hot=any(one.cause is Cause.HEAT for one in mood.objections))
    return _objected(rules, mood, found, now) if found else _calm(rules, mood, now)


def _objected(rules: Rules, mood: Mood, found: tuple[Objection, ...], now: float) -> Mood:
    calm = max(CALM_SECONDS.get(one.cause, 0.0) for one in found)
    heard = replace(mood, objections=found, calm_since=None, calm=calm)
    if any(one.cause in LASTING for one in found):
        return heard if mood.stance is Stance.RESTING else replace(heard, stance=Stance.RESTING, since=now)
    if mood.stance is Stance.LENDING:
        return replace(heard, stance=Stance.FROZEN, since=now)
    return _waited(rules, heard, now)


def _calm(rules: Rules, mood: Mood, now: float) -> Mood:
    if mood.stance is Stance.LENDING:
        return mood
    since = now if mood.calm_since is None else mood.calm_since
    if now - since >= mood.calm:
        return Mood(Stance.LENDING, now)
    return _waited(rules, replace(mood, calm_since=since), now)


def _waited(rules: Rules, mood: Mood, now: float) -> Mood:
    if mood.stance is Stance.FROZEN and now - mood.since >= rules.give_back_seconds:
        return replace(mood, stance=Stance.RESTING, since=now)
    return mood


def objections(rules: Rules, facts: Facts, was_hot: bool) -> tuple[Objection, ...]:
    """Every reason not to lend now."""
    texts = [(cause, look(rules, facts)) for cause, look in _LOOKS] + [(Cause.HEAT, _heat(rules, facts, was_hot))]
    return tuple(Objection(cause, text) for cause, text in texts if text is not None)


def _by_hand(_: Rules, facts: Facts) -> str | None:
    return facts.paused


def _hours(rules: Rules, facts: Facts) -> str | None:
    if is_open(rules.hours, facts.local):
        return None
    return f"outside the hours its owner lends; next: {opens(rules.hours, facts.local)}"


def _person(rules: Rules, facts: Facts) -> str | None:
    if rules.idle_seconds is None or facts.idle_seconds is None or facts.idle_seconds >= rules.idle_seconds:
        return None
    return f"somebody is at the machine; it is lent after {_duration(rules.idle_seconds)} without keyboard and mouse"


def _program(rules: Rules, facts: Facts) -> str | None:
    return f"its owner's own {facts.program} is running" if rules.programs and facts.program else None


def _load(rules: Rules, facts: Facts) -> str | None:
    if rules.load_cores is None or facts.other_cores is None or facts.other_cores <= rules.load_cores:
        return None
    return f"other programs use {facts.other_cores:.1f} cores, more than {rules.load_cores:g}"


def _battery(rules: Rules, facts: Facts) -> str | None:
    return "it runs on battery" if not rules.on_battery and facts.on_battery else None


def _heat(rules: Rules, facts: Facts, was_hot: bool) -> str | None:
    """Hot above one temperature, and until below the other."""
    if rules.hot_celsius is None or facts.celsius is None:
        return None
    if facts.celsius <= (rules.cool_celsius if was_hot else rules.hot_celsius):
        return None
    return f"it is {facts.celsius:.0f} °C hot; it is lent again below {rules.cool_celsius:.0f} °C"


_LOOKS: tuple[tuple[Cause, Callable[[Rules, Facts], str | None]], ...] = (
    (Cause.BY_HAND, _by_hand),
    (Cause.HOURS, _hours),
    (Cause.PERSON, _person),
    (Cause.PROGRAM, _program),
    (Cause.LOAD, _load),
    (Cause.BATTERY, _battery),
)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"


def unknown(rules: Rules, facts: Facts) -> tuple[str, ...]:
    """Rules that this machine gives no means to keep, in words: an owner must not trust what cannot work."""
    seen: tuple[tuple[bool, str], ...] = (
        (rules.idle_seconds is not None and facts.idle_seconds is None, "whether somebody uses keyboard or mouse"),
        (rules.load_cores is not None and facts.other_cores is None, "what other programs use"),
        (bool(rules.programs) and not facts.sees_all, "which programs run: the agent's own container hides them (--pid host)"),
        (not rules.on_battery and facts.on_battery is None, "whether it runs on battery"),
        (rules.hot_celsius is not None and facts.celsius is None, "how hot it is"),
    )
    return tuple(text for is_unknown, text in seen if is_unknown)
