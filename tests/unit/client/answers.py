"""What farms say of jobs, for farms that answer as told."""

from typing import Any

JOB: dict[str, Any] = {
    "id": "j-1", "name": "film", "state": "failed", "reason": "", "submitted_at": "2026-11-21T12:00:00Z", "stored": 0, "total": 0,
    "charged": "0", "price": None, "revision": 1, "ended": True, "bundle": "b" * 64, "blend": "film.blend", "asked_frames": "",
    "frames": "", "price_per_wu": "0.01", "max_cost": None, "deadline": None, "control": None, "findings": [],
    "width": 0, "height": 0, "fps": 0, "deposit": "0", "held": "0", "quote": None,
    "refusal": None, "remaining_seconds": None, "agents": [], "failure": None, "settlement": None, "files": [],
    "files_until": None,
}  # fmt: skip
_BAND = {"low": 1, "expected": 2, "high": 3}
QUOTE: dict[str, Any] = {
    "version": 1, "price": "1.5", "lines": [], "work": _BAND, "seconds": _BAND, "expires_at": "2027-01-01T00:00:00Z",
    "within_max_cost": True, "answer": "none", "open": True,
}  # fmt: skip
QUOTED: dict[str, Any] = {**JOB, "state": "quoted", "ended": False, "total": 3, "price": "1.5", "quote": QUOTE}
ACCEPTED: dict[str, Any] = {**QUOTED, "quote": {**QUOTE, "answer": "accepted", "open": False}}
"""The renter said yes; nothing is held so far."""
UPLOAD: dict[str, Any] = {"id": "u-1", "state": "stored", "sha256": "b" * 64, "bytes": 7}
