"""The walls around processes that read strangers' files, and how the service survives those that misbehave."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import pytest

from contracts.values import Picture
from services.storage import children
from services.storage.children import Children, Lost, answer, become, end, start
from services.storage.domain.archive import Limits, Unsafe
from services.storage.domain.png import NotThePicture
from tests.pictures import a_handmade_png, a_png, pixel_sha256
from tests.unit.storage.builders import a_zip

PICTURE = Picture(width=64, height=36)
READING = "cannot read its parent" if os.geteuid() == 0 else "reads its parent"
"""Root becomes nobody. Without root the service hides its own environment (`walls.hide_environment`)."""
PROBE = """
import os, socket
print(sorted(os.environ))
print(os.readlink("/proc/self/ns/net"))
try:
    socket.create_connection(("127.0.0.1", PORT), 2)
    print("connected")
except PermissionError:
    print("no sockets")
try:
    open(f"/proc/{os.getppid()}/environ").read()
    print("reads its parent")
except OSError:
    print("cannot read its parent")
try:
    with open("written", "wb") as file:
        file.write(b"x" * 2000)
    print("writes more than it may")
except OSError:
    print("cannot write that much")
"""


async def out_of(program: tuple[str, ...], folder: Path) -> list[str]:
    child = await become(program, folder, 1_000)
    said, _ = await child.communicate()
    await end(child)
    return said.decode().splitlines()


async def test_a_confined_program_has_no_secrets_no_network_and_little_room(tmp_path: Path) -> None:
    os.environ["FRAMELEND_SECRET"] = "not for children"
    folder = children.writable(tmp_path / "work")
    for parent in [tmp_path, *tmp_path.parents][:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    code = PROBE.replace("PORT", str(server.sockets[0].getsockname()[1]))
    try:
        inside = await out_of(("/usr/bin/python3", "-I", "-c", code), folder)
        outside = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", code, stdout=asyncio.subprocess.PIPE, cwd=folder
        )
        said = (await outside.communicate())[0].decode().splitlines()
    finally:
        server.close()
        del os.environ["FRAMELEND_SECRET"]
    network = inside.pop(1)
    assert inside == ["['LANG', 'PATH', 'PYTHONPATH']", "no sockets", READING, "cannot write that much"]
    without_walls = ["connected", "reads its parent", "writes more than it may"]
    assert said[2:] == without_walls
    assert os.geteuid() or network != said[1], "root gives it a network of its own"
    assert "FRAMELEND_SECRET" in said[0]


async def test_pictures_are_looked_at_one_after_another_by_the_same_child() -> None:
    looking = Children(1)
    for shade in range(5):
        data = a_png(shade=shade)
        pixels, thumbnail = await looking.look(data, PICTURE)
        assert (pixels, thumbnail[:4]) == (pixel_sha256(data), b"RIFF")
        with pytest.raises(NotThePicture):
            await looking.look(data[:-1], PICTURE)
    await looking.close()


async def test_a_child_that_died_is_replaced_and_nobody_is_blamed() -> None:
    looking = Children(1)
    await looking.look(a_png(), PICTURE)
    child, _ = looking._idle[0]
    child.kill()
    await child.wait()
    assert (await looking.look(a_png(), PICTURE))[0] == pixel_sha256(a_png())
    await looking.close()


async def test_a_picture_that_needs_more_memory_than_there_is_costs_only_the_child() -> None:
    looking = Children(1, memory_bytes=150 << 20)
    with pytest.raises(NotThePicture):
        await looking.look(a_handmade_png(6_000, 6_000), Picture(width=6_000, height=6_000))
    assert await looking.look(a_png(), PICTURE)
    await looking.close()


async def test_an_answer_longer_than_agreed_is_not_read() -> None:
    child = await start(
        "archive", {"memory_bytes": 1 << 30, "max_bytes": 1, "max_unpacked_bytes": 1, "max_entries": 1, "max_ratio": 1}
    )
    assert child.stdin is not None
    child.stdin.close()
    with pytest.raises(Lost):
        await answer(child, -1)
    await end(child)


async def test_an_answer_nested_without_end_counts_as_none() -> None:
    code = "import struct, sys; sys.stdout.buffer.write(struct.pack('>Q', 200_000) + b'[' * 200_000)"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    with pytest.raises(Lost):
        await answer(child, 0)
    await end(child)


async def test_an_archive_is_examined_by_a_child() -> None:
    looking = Children(1)
    with tempfile.TemporaryFile() as file:
        file.write(a_zip())
        file.flush()
        file.seek(0)
        assert (await looking.examine(file, Limits()))["blends"] == ["scene.blend"]
    with tempfile.TemporaryFile() as file:
        file.write(a_zip({"../evil": b"x"}))
        file.flush()
        file.seek(0)
        with pytest.raises(Unsafe, match="not plain"):
            await looking.examine(file, Limits())
