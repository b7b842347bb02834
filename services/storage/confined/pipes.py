"""How a confined process hears and answers: pieces behind their lengths, on stdin and stdout."""

import json
import struct
import sys
from collections.abc import Iterator
from typing import Any

LENGTH = struct.Struct(">Q")


def parts() -> Iterator[bytes]:
    """Every piece until the end of stdin."""
    source = sys.stdin.buffer
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        yield source.read(LENGTH.unpack(head)[0])


def answer(told: dict[str, Any], attached: bytes = b"") -> None:
    out = sys.stdout.buffer
    head = json.dumps(told).encode()
    out.write(LENGTH.pack(len(head)) + head + LENGTH.pack(len(attached)) + attached)
    out.flush()
