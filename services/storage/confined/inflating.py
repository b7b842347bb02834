"""Decompression in small bites: a bomb is noticed after its first megabyte too many, and memory stays small."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

OUT_BYTES = 1 << 20
IN_BYTES = 1 << 16


class Stream(Protocol):
    """zlib's decompression object, whose type has no public name."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def zlib_stream() -> Stream:
    return zlib.decompressobj()


def deflate_stream() -> Stream:
    return zlib.decompressobj(-zlib.MAX_WBITS)


def inflated(stream: Stream, packed: Iterable[bytes]) -> Iterator[bytes]:
    """What comes out, at most OUT_BYTES at a time. Ends where the stream ends (`eof`) or where `packed` does, whichever is
    first. Raises zlib.error."""
    for bite in packed:
        while bite and not stream.eof:
            yield stream.decompress(bite, OUT_BYTES)
            bite = stream.unconsumed_tail
        if stream.eof:
            return
    while not stream.eof and (rest := stream.decompress(b"", OUT_BYTES)):
        yield rest  # read before, not given yet


def bites(data: bytes, at: int, length: int) -> Iterator[bytes]:
    """Small, since a stream hands back what it could not use as a copy."""
    for begin in range(at, at + length, IN_BYTES):
        yield data[begin : min(begin + IN_BYTES, at + length)]
