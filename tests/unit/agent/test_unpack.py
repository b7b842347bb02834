"""A bundle may be an attack on the lender's disk: each one is refused and leaves nothing outside its folder."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.unpack import DIRECTORY_BYTES, Limits, UnsafeBundle, unpack

ROOM = Limits(unpacked_bytes=300 << 20)


def a_zip(path: Path, fill: Callable[[zipfile.ZipFile], None]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        fill(archive)
    return path


def _named(*names: str) -> Callable[[zipfile.ZipFile], None]:
    def fill(archive: zipfile.ZipFile) -> None:
        for name in names:
            archive.writestr(name, b"content")

    return fill


def _special(kind: int) -> Callable[[zipfile.ZipFile], None]:
    def fill(archive: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo("special")
        entry.create_system = 3
        entry.external_attr = (kind | 0o777) << 16
        archive.writestr(entry, b"/etc/passwd")

    return fill


def _bomb(archive: zipfile.ZipFile) -> None:
    with archive.open("zeros", "w") as file:
        for _ in range(40):
            file.write(bytes(1 << 20))


def _packed_by(method: int) -> Callable[[zipfile.ZipFile], None]:
    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr("scene.blend", b"content" * 100, compress_type=method)

    return fill


def test_a_bundle_is_unpacked_with_plain_permissions(tmp_path: Path) -> None:
    archive = a_zip(tmp_path / "a.zip", _named("scene.blend", "textures/wood.png", "textures/Ümlaut: x.png"))
    written = unpack(archive, tmp_path / "new", ROOM)
    assert written == 3 * len(b"content")
    assert (tmp_path / "new" / "textures" / "Ümlaut: x.png").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "new" / "scene.blend").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "fill",
    [
        _named("../outside"),
        _named("a/../../outside"),
        _named("/etc/outside"),
        _named("C:/outside"),
        _named("a\\..\\outside"),
        _named("a//b"),
        _named("./a"),
        _named("a\nb"),
        _named("x" * 300),
        _named("/".join(["d"] * 40)),
        _named("twice", "TWICE"),
        _named("file", "file/below"),
        _special(stat.S_IFLNK),
        _special(stat.S_IFIFO),
        _special(stat.S_IFCHR),
        _bomb,
        _packed_by(zipfile.ZIP_BZIP2),
        _packed_by(zipfile.ZIP_LZMA),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_attack_is_refused_and_nothing_lies_outside(tmp_path: Path, fill: Callable[[zipfile.ZipFile], None]) -> None:
    place = tmp_path / "place"
    place.mkdir()
    archive = a_zip(tmp_path / "a.zip", fill)
    with pytest.raises(UnsafeBundle):
        unpack(archive, place / "new", ROOM)
    assert [path.name for path in place.iterdir()] == ["new"]
    assert not any(path.is_symlink() for path in place.rglob("*"))


def test_what_unpacks_to_more_than_there_is_room_for_stops_on_the_way_and_is_not_called_unsafe(tmp_path: Path) -> None:
    archive = a_zip(tmp_path / "a.zip", lambda it: it.writestr("noise", bytes(range(256)) * 8_000))
    with pytest.raises(OSError, match="no room"):
        unpack(archive, tmp_path / "new", Limits(unpacked_bytes=1_000_000))
    assert sum(path.stat().st_size for path in (tmp_path / "new").rglob("*")) <= 1_000_000


def test_a_size_that_is_a_lie_does_not_help(tmp_path: Path) -> None:
    """The table of contents promises seven bytes; the data are a megabyte."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large", bytes(1 << 20))
    lying = whole.getvalue().replace((1 << 20).to_bytes(4, "little"), (7).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(lying)
    with pytest.raises(UnsafeBundle):
        unpack(tmp_path / "a.zip", tmp_path / "new", ROOM)


def test_a_list_of_entries_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    archive, size = tmp_path / "a.zip", DIRECTORY_BYTES + 1
    with archive.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, size, 0, 0))
    with pytest.raises(UnsafeBundle, match="files"):
        unpack(archive, tmp_path / "new", ROOM)


def test_folders_count_too(tmp_path: Path) -> None:
    """Each file brings as many folders as its name is deep."""
    deep = [f"{number}/{'/'.join('abcdefghijklmnopqrstuvwxyzabcd')}/f" for number in range(7_000)]
    archive = a_zip(tmp_path / "a.zip", _named(*deep))
    with pytest.raises(UnsafeBundle, match="folders"):
        unpack(archive, tmp_path / "new", ROOM)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("body", [b"", b"not a zip", b"PK\x05\x06" + bytes(17)])
def test_what_is_no_archive_is_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(body)
    with pytest.raises(UnsafeBundle):
        unpack(tmp_path / "a.zip", tmp_path / "new", ROOM)


def test_a_damaged_entry_is_refused(tmp_path: Path) -> None:
    archive = a_zip(tmp_path / "a.zip", lambda it: it.writestr("noise", bytes(range(256)) * 100))
    body = bytearray(archive.read_bytes())
    body[100] ^= 0xFF
    archive.write_bytes(bytes(body))
    with pytest.raises(UnsafeBundle):
        unpack(archive, tmp_path / "new", ROOM)
