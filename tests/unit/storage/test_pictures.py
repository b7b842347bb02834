"""What a delivered picture must be, and the lies that are found out."""

import hashlib
import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from services.storage.confined.pictures import look
from services.storage.domain.png import NotThePicture, header
from tests.pictures import SIGNATURE, a_chunk, a_handmade_png, a_png, pixel_sha256
from tests.scenes.pixels import pixel_sha256 as by_the_protocol


def refused(data: bytes, width: int = 64, height: int = 36, bits: int = 8) -> str:
    with pytest.raises(NotThePicture) as no:
        look(data, width, height, bits)
    return no.value.code


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_good_picture_gives_its_pixel_hash_and_a_small_thumbnail(mode: str) -> None:
    data = a_png(640, 360, mode=mode)
    seen = look(data, 640, 360, 8)
    assert seen.pixel_sha256 == pixel_sha256(data)
    with Image.open(io.BytesIO(seen.thumbnail)) as small:
        assert (small.format, small.size) == ("WEBP", (240, 135))


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (6, 4)])
def test_sixteen_bits_are_hashed_with_all_their_bits(colour: int, channels: int, tmp_path: Path) -> None:
    data = a_handmade_png(bits=16, colour=colour, channels=channels)
    (tmp_path / "deep.png").write_bytes(data)
    assert look(data, 64, 36, 16).pixel_sha256 == by_the_protocol(tmp_path / "deep.png")
    samples = b"\x40\x40" * (64 * 36 * channels)
    head = f"framelend-pixels-v1 64 36 {channels} 16\n".encode()
    assert look(data, 64, 36, 16).pixel_sha256 == hashlib.sha256(head + samples).hexdigest()


def test_text_chunks_do_not_change_the_pixel_hash() -> None:
    plain, dated = a_handmade_png(), a_handmade_png(extra=a_chunk(b"tEXt", b"Date\0today"))
    assert look(plain, 64, 36, 8).pixel_sha256 == look(dated, 64, 36, 8).pixel_sha256


@pytest.mark.parametrize(("name", "bits"), [("srgb-rgba-16", 16), ("display-p3-8", 8), ("rec2100-pq-8", 8)])
def test_what_blender_writes_is_taken(name: str, bits: int) -> None:
    path = Path(__file__).parent / "frames" / f"{name}.png"
    assert look(path.read_bytes(), 64, 36, bits).pixel_sha256 == by_the_protocol(path)


def test_a_wrong_checksum_is_found_whatever_chunk_it_is_of() -> None:
    data = a_handmade_png(extra=a_chunk(b"tEXt", b"Date\0today"))
    for kind in (b"IHDR", b"tEXt", b"IDAT", b"IEND"):
        at = data.index(kind) - 4
        last = at + 12 + int.from_bytes(data[at : at + 4], "big") - 1
        assert refused(data[:last] + bytes([data[last] ^ 1]) + data[last + 1 :]) == "broken"


EXIF = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0%b\0\0\0\0\0\0"
FOREIGN = {
    "a critical chunk nobody knows": a_chunk(b"ABCD", b"x"),
    "a private one": a_chunk(b"prIv", b"x"),
    "a palette beside colours": a_chunk(b"PLTE", bytes(9)),
    "another gamma": a_chunk(b"gAMA", struct.pack(">I", 10_000)),
    "other primaries": a_chunk(b"cHRM", bytes(32)),
    "an intent that is none": a_chunk(b"sRGB", b"\4"),
    "colours that are not RGB": a_chunk(b"cICP", b"\1\1\1\0"),
    "two resolutions": a_chunk(b"pHYs", bytes(9)) * 2,
    "upside down": a_chunk(b"eXIf", EXIF % b"\3"),
    "EXIF nobody can read": a_chunk(b"eXIf", (EXIF % b"\1")[:12]),
    "upside down, in another place": a_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<orientation/>"),
    "more text than any scene has": a_chunk(b"tEXt", b"a\0" + bytes(5 << 20)) * 2,
}


@pytest.mark.parametrize("extra", FOREIGN.values(), ids=FOREIGN.keys())
def test_chunks_that_programs_refuse_or_show_are_refused(extra: bytes) -> None:
    assert refused(a_handmade_png(extra=extra)) == "foreign_chunk"


def test_what_changes_nothing_that_is_shown_is_taken() -> None:
    plain = [a_chunk(b"gAMA", struct.pack(">I", 45_455)), a_chunk(b"sRGB", b"\0"), a_chunk(b"tIME", bytes(7))]
    names = a_chunk(b"tEXt", b"cryptomatte/542cafa/manifest\0" + b"x" * (3 << 20))
    extra = b"".join([*plain, a_chunk(b"eXIf", EXIF % b"\1"), names, names])
    assert look(a_handmade_png(extra=extra), 64, 36, 8).pixel_sha256 == look(a_handmade_png(), 64, 36, 8).pixel_sha256


def test_bytes_behind_the_samples_are_refused() -> None:
    samples = zlib.compress((b"\0" + b"\x40" * 192) * 36)
    head, end = a_handmade_png()[:33], a_chunk(b"IEND", b"")
    behind = [a_chunk(b"IDAT", samples + b"more"), a_chunk(b"IDAT", samples) + a_chunk(b"IDAT", b"more")]
    apart = a_chunk(b"IDAT", samples) + a_chunk(b"tEXt", b"a\0b") + a_chunk(b"IDAT", b"")
    assert look(head + a_chunk(b"IDAT", samples) + end, 64, 36, 8).thumbnail
    assert {refused(head + data + end) for data in (*behind, apart)} == {"broken"}


def test_other_dimensions_or_bits_are_refused() -> None:
    assert refused(a_png(63, 36)) == "wrong_dimensions"
    assert refused(a_png(64, 37)) == "wrong_dimensions"
    assert refused(a_png(), bits=16) == "wrong_bits"
    assert refused(a_handmade_png(bits=16), bits=8) == "wrong_bits"


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    bomb = a_handmade_png(30_000, 30_000, rows=1)
    assert len(bomb) < 1_000
    assert refused(bomb) == "wrong_dimensions"


def test_a_large_picture_of_one_colour_is_no_bomb() -> None:
    assert look(a_handmade_png(2_000, 1_500), 2_000, 1_500, 8).thumbnail


def test_missing_rows_are_found_that_a_decoder_would_fill_with_black() -> None:
    short = a_handmade_png(rows=10)
    with Image.open(io.BytesIO(short)) as image:
        image.load()  # Pillow has nothing to say
    assert refused(short) == "broken"
    assert refused(a_handmade_png(rows=37)) == "broken"
    assert look(a_handmade_png(rows=36), 64, 36, 8).thumbnail


def test_a_picture_cut_off_anywhere_is_refused() -> None:
    data = a_png()
    assert {refused(data[:length]) for length in range(8, len(data), 37)} == {"broken"}


def test_bytes_after_the_end_are_refused() -> None:
    assert refused(a_handmade_png(tail=b"<script>")) == "broken"


def test_damaged_samples_are_refused() -> None:
    data = bytearray(a_png())
    data[len(data) // 2] ^= 0xFF
    assert refused(bytes(data)) == "broken"


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff\xe0 jpeg", b"<svg/>", b"\0" * 100])
def test_what_is_not_a_png_is_refused(data: bytes) -> None:
    assert refused(data) == "not_png"


def test_other_picture_formats_under_the_name_of_png_are_refused() -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 36)).save(out, "JPEG")
    assert refused(out.getvalue()) == "not_png"


def test_palettes_interlacing_animation_and_colour_keys_are_refused() -> None:
    out = io.BytesIO()
    Image.new("P", (64, 36)).save(out, "PNG")
    assert refused(out.getvalue()) == "wrong_mode"
    assert refused(a_handmade_png(colour=4, channels=2)) == "wrong_mode"
    assert refused(a_handmade_png(interlaced=1)) == "wrong_mode"
    assert refused(a_handmade_png(extra=a_chunk(b"acTL", struct.pack(">II", 2, 0)))) == "animated"
    assert refused(a_handmade_png(extra=a_chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3)))) == "foreign_chunk"


def test_a_text_bomb_is_refused() -> None:
    text = a_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(200_000_000)))
    assert refused(a_handmade_png(extra=text)) == "broken"


def test_a_header_that_is_not_first_or_comes_twice_is_refused() -> None:
    head = a_chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 36, 8, 2, 0, 0, 0))
    assert refused(a_handmade_png(extra=head)) == "broken"
    assert refused(SIGNATURE + a_chunk(b"tEXt", b"a\0b") + a_handmade_png()[8:]) == "broken"


def test_more_chunks_than_any_renderer_writes_are_refused() -> None:
    with pytest.raises(NotThePicture):
        header(a_handmade_png(extra=a_chunk(b"tEXt", b"") * 100_001))
