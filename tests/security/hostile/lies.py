"""Attacks by what is handed over: pictures that are none, links instead of files, numbers that are not true."""

import json
import os
import struct
import zlib

WIDTH, HEIGHT = 192, 108
HANDED = 10
"""Exit code after something was handed over."""


def a_png(width: int = WIDTH, height: int = HEIGHT, rows: bytes | None = None) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(rows if rows is not None else bytes(height * (1 + 3 * width)))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _hand_over(body: bytes, **said: object) -> tuple[bool, str]:
    line = {"event": "frame", "frame": 1, "bytes": len(body), "seconds": 1.0, "cpu_seconds": 1.0, **said}
    for event in ({"event": "hello", "protocol": 2, "blender": "5.0.1"}, {"event": "opened"}, line):
        _write(json.dumps(event).encode() + b"\n")
    _write(body)
    return False, "handed over"


def _write(body: bytes) -> None:
    while body:
        body = body[os.write(1, body) :]


def honest_picture() -> tuple[bool, str]:
    return _hand_over(a_png())


def swapped_afterwards() -> tuple[bool, str]:
    """Another picture of the same frame, once the first one was seen."""
    _hand_over(a_png())
    return _hand_over(a_png(rows=b"\0\xff" * (HEIGHT * (1 + 3 * WIDTH) // 2)))


def frame_of_others() -> tuple[bool, str]:
    return _hand_over(a_png(), frame=7)


def no_picture() -> tuple[bool, str]:
    return _hand_over(b"root:x:0:0:root:/root:/bin/bash\n")


def empty_picture() -> tuple[bool, str]:
    return _hand_over(b"")


def too_large_a_picture(most: int) -> tuple[bool, str]:
    return _hand_over(a_png() + bytes(most))


def announced_too_large() -> tuple[bool, str]:
    return _hand_over(a_png(), bytes=1 << 43)


def negative_size() -> tuple[bool, str]:
    return _hand_over(a_png(), bytes=-1)


def more_announced_than_given() -> tuple[bool, str]:
    return _hand_over(a_png(), bytes=len(a_png()) + 1_000)


def more_given_than_announced() -> tuple[bool, str]:
    return _hand_over(a_png() + b"\nand more\n", bytes=len(a_png()))


def cut_off() -> tuple[bool, str]:
    return _hand_over(a_png()[:-20])


def another_size() -> tuple[bool, str]:
    return _hand_over(a_png(WIDTH, HEIGHT - 1))


def bomb() -> tuple[bool, str]:
    return _hand_over(a_png(60_000, 60_000, bytes(1_000_000)))


def right_head_wrong_body() -> tuple[bool, str]:
    return _hand_over(a_png(rows=b"\0" * 10))


def plant_links(target: str) -> tuple[bool, str]:
    """For whoever reads the folder from outside: a link to a file of the machine, a pipe, a second name of a file."""
    os.symlink(target, "/out/000001.png")
    os.mkfifo("/out/000002.png")
    with open("/out/file", "wb") as file:
        file.write(b"x")
    os.link("/out/file", "/out/000003.png")
    return False, "planted"
