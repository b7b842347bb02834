"""Ids that follow from what was asked, so that asking again names the same thing."""

import base64
import hashlib

_LETTERS = 20
"""Of base32: 100 bits."""


def derived(prefix: str, *parts: str) -> str:
    """`j-…` from the parts; each part's length is hashed too, so that ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return f"{prefix}-{base64.b32encode(digest.digest()).decode().lower()[:_LETTERS]}"
