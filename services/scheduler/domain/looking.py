"""What every check of an inspection looks at, and how it words what it finds."""

from dataclasses import dataclass

from contracts.changes import Change
from contracts.events import SceneFacts
from contracts.values import Finding, Ranges, RenderSettings, Severity

SHOWN, NAME = 5, 100
"""Names that a finding tells, and characters of each: a finding must stay small even of a hostile file."""


@dataclass(frozen=True)
class Case:
    """`asked`: frames the renter named, empty for the file's own. `largest_agent`: bytes of memory that the best agent of the
    farm lends, 0 when none is known."""

    facts: SceneFacts
    settings: RenderSettings
    asked: Ranges = ()
    largest_agent: int = 0
    bundle_bytes: int = 0

    def made(self, change: Change) -> bool:
        """The renter has asked for it already."""
        return change in self.settings.changes


def error(code: str, text: str, fix: str, change: Change | None = None) -> Finding:
    return _finding(code, Severity.ERROR, text, fix, change)


def warning(code: str, text: str, fix: str, change: Change | None = None) -> Finding:
    return _finding(code, Severity.WARNING, text, fix, change)


def info(code: str, text: str, fix: str = "Nothing to do.") -> Finding:
    return _finding(code, Severity.INFO, text, fix, None)


def some(names: tuple[str, ...]) -> str:
    shown = ", ".join(name[:NAME] for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def _finding(code: str, severity: Severity, text: str, fix: str, change: Change | None) -> Finding:
    return Finding(code=code, severity=severity, text=text[:2000], fix=fix[:2000], change=change)
