"""What the farm's inspection says of a file."""

from pydantic import BaseModel, ConfigDict


class Finding(BaseModel):
    """`change`: what the farm itself can do about it, by `framelend apply`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    severity: str
    text: str
    fix: str = ""
    change: str | None = None
