"""Stdout of a stranger: lines and counted bytes come out the same however the wire cuts them; what does not stop is noticed."""

import asyncio
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from agent.hearing import STDERR_BYTES, TOO_LONG, TOO_MUCH, CutShort, Voice

BROKEN = (OSError,)


async def everything(voice: Voice) -> list[bytes]:
    said = []
    while (line := await voice.line()) is not None:
        said.append(line)
    return said


def heard(blocks: list[tuple[bytes | None, bytes | None]], line_bytes: int = 1_000, most: int | None = 1 << 20) -> list[bytes]:
    async def hear() -> list[bytes]:
        voice = Voice(line_bytes, most)
        voice.listen(blocks, BROKEN)
        return await everything(voice)

    return asyncio.run(hear())


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_lines_are_the_same_however_the_stream_is_cut(blocks: list[bytes]) -> None:
    assert heard([(block, None) for block in blocks]) == b"".join(blocks).split(b"\n")[:-1]


@given(st.binary(max_size=200), st.integers(1, 50))
def test_counted_bytes_are_whole_whatever_is_in_them_and_the_next_line_follows(picture: bytes, cut: int) -> None:
    wire = b"first\n" + picture + b"second\n"
    blocks = [(wire[at : at + cut], None) for at in range(0, len(wire), cut)]

    async def hear() -> tuple[bytes | None, bytes, list[bytes]]:
        voice = Voice(1_000)
        voice.listen(blocks, BROKEN)
        first = await voice.line()
        return first, b"".join([block async for block in voice.counted(len(picture))]), await everything(voice)

    assert asyncio.run(hear()) == (b"first", picture, [b"second"])


def test_bytes_that_do_not_come_are_missed() -> None:
    async def hear() -> str:
        voice = Voice(1_000)
        voice.listen([(b"half", None)], BROKEN)
        try:
            return b"".join([block async for block in voice.counted(8)]).decode()
        except CutShort:
            return "cut short"

    assert asyncio.run(hear()) == "cut short"


def test_an_endless_line_is_not_kept() -> None:
    assert set(heard([(b"x" * 1_000, None)] * 100, 4_096)) == {TOO_LONG}


def test_of_stderr_the_tail_is_kept_and_a_flood_is_told_once() -> None:
    async def hear() -> tuple[list[bytes], str]:
        voice = Voice(1_000, 1 << 20)
        voice.listen([(None, b"e" * 65_536)] * 64 + [(b"alive\n", b"the end")], BROKEN)
        return await everything(voice), voice.stderr()

    said, tail = asyncio.run(hear())
    assert said == [TOO_MUCH, b"alive"]
    assert tail.endswith("the end")
    assert len(tail) <= STDERR_BYTES


def test_without_the_limit_a_flood_goes_on_unnoticed() -> None:
    assert heard([(None, b"e" * 65_536)] * 64 + [(b"alive\n", None)], most=None) == [b"alive"]


def test_a_wire_that_breaks_is_an_end() -> None:
    def breaking() -> Iterator[tuple[bytes | None, bytes | None]]:
        yield b"alive\n", None
        raise OSError

    async def hear() -> list[bytes]:
        voice = Voice(1_000)
        voice.listen(breaking(), BROKEN)
        return await everything(voice)

    assert asyncio.run(hear()) == [b"alive"]
