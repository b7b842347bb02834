"""A failure of the local stack as people need it: which part, why, where its log is, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class FarmError(Exception):
    part: str
    why: str
    log: Path | None = None
    advice: str = ""

    def __str__(self) -> str:
        lines = [f"{self.part}: {self.why}"]
        if self.log is not None:
            lines.append(f"  log:    {self.log}")
        if self.advice:
            lines.append(f"  do:     {self.advice}")
        return "\n".join(lines)
