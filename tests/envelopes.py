"""Properties of a message as raw bytes, which no AMQP library would write and the broker passes on."""

import struct

from pamqp.commands import Basic

HEADERS, CORRELATION_ID, MESSAGE_ID, TIMESTAMP, USER_ID = 0x2000, 0x0400, 0x0080, 0x0040, 0x0010
BEYOND_TIME = struct.pack(">Q", 1 << 63)


def short(words: bytes) -> bytes:
    return bytes([len(words)]) + words


def table(words: bytes) -> bytes:
    return struct.pack(">I", len(words)) + words


def nested(levels: int) -> bytes:
    """A table in a table in a table."""
    words = b""
    for _ in range(levels):
        words = short(b"a") + b"F" + table(words)
    return table(words)


UNREADABLE: dict[str, tuple[int, bytes]] = {
    "a time beyond the calendar": (TIMESTAMP, BEYOND_TIME),
    "a message id that is not UTF-8": (MESSAGE_ID, short(b"\xff\xfe")),
    "a correlation id that is not UTF-8": (CORRELATION_ID, short(b"\xff\xfe")),
    "a time beyond the calendar in the headers": (HEADERS, table(short(b"a") + b"T" + BEYOND_TIME)),
    "a header's name that is not UTF-8": (HEADERS, table(short(b"\xff") + b"V")),
    "headers 1,000 tables deep": (HEADERS, nested(1_000)),
}
"""What ends pamqp."""
BROKEN = UNREADABLE | {"headers of 50,000 entries": (HEADERS, table(b"\x00V" * 50_000))}
"""The last only takes it long."""


class Key(str):
    """A routing key that ends with bytes that are no letters."""

    def encode(self, *_: object) -> bytes:
        return super().encode() + b".\xff\xfe"


class Envelope(Basic.Properties):
    """These bytes, and a user id that is as it should be."""

    def __init__(self, flag: int, words: bytes, user: str) -> None:
        super().__init__(message_id="any, for the sender's own library")
        self._written = struct.pack(">H", flag | USER_ID) + words + short(user.encode())

    def marshal(self) -> bytes:
        return self._written
