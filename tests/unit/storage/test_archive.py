"""Archives that must not be unpacked on a stranger's machine, each attack by itself."""

import io
import stat
import struct
import zipfile
import zlib

import pytest

from services.storage.confined.archive import Contents, examine
from services.storage.domain.archive import Entry, Limits, Unsafe, check
from tests.unit.storage.builders import BLEND, a_zip, a_zip_of, with_declared_size

MIB = 1 << 20


def seen(data: bytes, limits: Limits = Limits()) -> Contents:  # noqa: B008  # frozen
    return examine(io.BytesIO(data), len(data), limits)


def refused(data: bytes, limits: Limits = Limits()) -> str:  # noqa: B008
    with pytest.raises(Unsafe) as no:
        seen(data, limits)
    assert len(no.value.text) > 20, "the renter is told what to do"
    return no.value.code


def named(name: str, content: bytes = b"x", **fields: int) -> bytes:
    """A good bundle with one more entry; names go in as they are."""
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    for field, value in fields.items():
        setattr(info, field, value)
    return a_zip_of((info, content))


def test_a_plain_bundle_is_taken_and_its_blend_files_are_listed() -> None:
    files = {
        "scene.blend": BLEND,
        "lib/b.blend": b"\x28\xb5\x2f\xfdxyz",
        "old.BLEND": b"\x1f\x8b..",
        "textures/ä wood.png": b"abc",
    }
    found = seen(a_zip(files))
    assert found == Contents(4, sum(map(len, files.values())), ("scene.blend", "lib/b.blend", "old.BLEND"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_large_entries_are_counted_to_the_last_byte(method: int) -> None:
    content = bytes(range(256)) * 20_000
    assert seen(a_zip({"a.blend": BLEND, "b.bin": content}, method)).unpacked_bytes == len(content) + len(BLEND)


def test_folders_are_no_files() -> None:
    assert seen(a_zip({"a/": b"", "a/x.blend": BLEND})).files == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../evil.py", "path_escape"),
        ("a/../../evil.py", "path_escape"),
        ("a//b", "path_escape"),
        ("./a", "path_escape"),
        ("/etc/passwd", "absolute_path"),
        ("C:evil.txt", "absolute_path"),
        ("c:/evil.txt", "absolute_path"),
        ("a\\..\\evil.txt", "bad_name"),
        ("a\nb", "bad_name"),
        ("x" * 300, "long_name"),
        ("/".join(["y" * 200] * 6), "long_name"),
    ],
)
def test_a_name_that_leaves_its_folder_or_misleads_is_refused(name: str, code: str) -> None:
    assert refused(named(name)) == code
    assert seen(named("a/harmless.txt")).files == 2, "the same archive with a plain name is taken"


def test_a_name_cut_short_by_a_zero_byte_is_refused() -> None:
    data = a_zip({"scene.blend": BLEND, "goodXevil": b"x"}).replace(b"goodXevil", b"good\0evil")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert "good" in archive.namelist(), "the standard library reads another name than stands there"
    assert refused(data) == "bad_name"


@pytest.mark.parametrize(
    ("first", "second"),
    [("a/Wood.png", "A/wood.PNG"), ("\u00e9.png", "e\u0301.png"), ("straße.txt", "STRASSE.txt"), ("a", "a/b.txt"), ("a/", "A")],
)
def test_names_that_meet_on_some_file_system_are_refused(first: str, second: str) -> None:
    assert refused(a_zip({"scene.blend": BLEND, first: b"", second: b""})) == "duplicate"


def test_one_name_twice_is_refused() -> None:
    data = a_zip({"scene.blend": BLEND, "scenX.blend": b"another"})
    assert refused(data.replace(b"scenX", b"scene")) == "duplicate"
    assert seen(data).files == 2


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR])
def test_links_and_special_files_are_refused(kind: int) -> None:
    assert refused(named("link", b"/etc/passwd", external_attr=(kind | 0o777) << 16)) == "link"
    assert seen(named("link", b"/etc/passwd", external_attr=(stat.S_IFREG | 0o777) << 16)).files == 2


def test_a_second_name_in_an_extra_field_is_refused() -> None:
    info = zipfile.ZipInfo("good.txt")
    info.extra = struct.pack("<HHB", 0x7075, 10, 1) + b"crc!../ev"[:9]
    assert refused(a_zip_of((info, b"x"))) == "link"


def test_a_local_header_with_another_name_is_refused() -> None:
    data = a_zip({"scene.blend": BLEND, "good.txt": b"x"})
    at = data.index(b"good.txt")
    assert refused(data[:at] + b"evil.txt" + data[at + 8 :]) == "two_names"


def test_encrypted_and_exotic_entries_are_refused() -> None:
    data = bytearray(a_zip({"scene.blend": BLEND}))
    table = data.rindex(b"PK\x01\x02")
    data[table + 8] |= 1
    assert refused(bytes(data)) == "encrypted"
    assert refused(a_zip({"scene.blend": BLEND}, zipfile.ZIP_LZMA)) == "compression"


def test_a_bomb_is_refused_by_its_ratio() -> None:
    data = a_zip({"scene.blend": BLEND + bytes(32 * MIB)})
    assert refused(data) == "bomb"
    assert seen(data, Limits(max_ratio=2_000)).files == 1, "only the ratio stood in its way"


def test_too_much_unpacked_is_refused() -> None:
    data = a_zip({"scene.blend": BLEND + bytes(2 * MIB)}, zipfile.ZIP_STORED)
    assert refused(data, Limits(max_unpacked_bytes=2 * MIB)) == "too_large"
    assert seen(data, Limits(max_unpacked_bytes=3 * MIB)).files == 1


def test_too_many_files_are_refused() -> None:
    data = a_zip({"scene.blend": BLEND, **{f"{number}": b"" for number in range(50)}})
    assert refused(data, Limits(max_entries=50)) == "too_many_files"
    assert seen(data, Limits(max_entries=51)).files == 51


def test_a_size_that_is_less_than_what_comes_out_is_refused() -> None:
    content = b"A" * 5_000_000
    lie = with_declared_size(a_zip({"scene.blend": BLEND, "big.bin": content}), "big.bin", 100, zlib.crc32(content[:100]))
    with zipfile.ZipFile(io.BytesIO(lie)) as archive:
        assert archive.testzip() is None, "the standard library believes the lie"
    assert refused(lie) == "lying_size"


def test_a_size_that_is_more_than_what_comes_out_is_refused() -> None:
    data = a_zip({"scene.blend": BLEND, "small.bin": b"abc"})
    assert refused(with_declared_size(data, "small.bin", 4_000, zlib.crc32(b"abc"))) == "lying_size"


def test_entries_that_share_bytes_are_refused() -> None:
    data = a_zip({"scene.blend": BLEND, "k1": b"K" * 1_000, "k2": b"K" * 1_000})
    table = data.index(b"PK\x01\x02")
    first = struct.unpack_from("<I", data, data.index(b"k1", table) - 4)[0]
    changed = bytearray(data)
    struct.pack_into("<I", changed, data.index(b"k2", table) - 4, first)
    local = data.index(b"k1")
    changed[data.index(b"k2", table) : data.index(b"k2", table) + 2] = data[local : local + 2]
    assert refused(bytes(changed)) in ("overlap", "duplicate")


def test_an_entry_that_reaches_into_the_table_is_refused() -> None:
    data = a_zip({"a.bin": b"x", "scene.blend": BLEND}, zipfile.ZIP_STORED)
    table, longer = data.index(b"PK\x01\x02"), len(BLEND) + 40
    grown = with_declared_size(data, "scene.blend", longer, 0)
    changed = bytearray(grown)
    struct.pack_into("<I", changed, data.rindex(b"PK\x01\x02") + 20, longer)
    struct.pack_into("<I", changed, data.rindex(b"PK\x03\x04") + 18, longer)
    assert table
    assert refused(bytes(changed)) == "overlap"


@pytest.mark.parametrize("content", [b"", b"MZ not a blend", b"BLENDE"])
def test_a_bundle_without_a_blend_is_refused(content: bytes) -> None:
    assert refused(a_zip({"scene.blend": content, "readme.txt": BLEND})) == "no_blend"


def test_what_is_no_archive_is_refused() -> None:
    good = a_zip()
    assert refused(b"") == "not_an_archive"
    assert refused(b"BLENDER17-01v0500" * 1_000) == "not_an_archive"
    assert refused(good[:-5]) == "not_an_archive"
    assert refused(good[: len(good) // 2]) == "not_an_archive"


def test_an_empty_archive_is_refused() -> None:
    out = io.BytesIO()
    zipfile.ZipFile(out, "w").close()
    assert refused(out.getvalue()) == "empty"


def test_a_damaged_entry_is_refused() -> None:
    data = bytearray(a_zip({"scene.blend": BLEND * 100, "x": b"y"}, zipfile.ZIP_STORED))
    data[200] ^= 0xFF
    assert refused(bytes(data)) == "lying_size"


def test_rules_hold_for_declared_sizes_before_anything_is_unpacked() -> None:
    entry = Entry("scene.blend", zipfile.ZIP_DEFLATED, 0, 0, 100, 1 << 40)
    with pytest.raises(Unsafe, match="larger than 64 GiB"):
        check([entry], 1 << 39, Limits())
