"""A child process that decodes pictures nobody trusts: dimensions before pixels, then every pixel, then their hash.

It is given paths on stdin and answers one JSON line each. It holds no secret, may write nothing, and its memory and CPU time are
bounded, so that a decoder's flaw or a bomb ends here; where the machine's memory runs out it is the first to be killed. Started
as `python -I …/decoding.py MEGABYTES`; imports Pillow alone.
"""

import contextlib
import hashlib
import json
import resource
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from PIL import Image, ImageFile

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}
CPU_SECONDS = 600
BAND_PIXELS = 1 << 20
"""Hashed at a time: beside the decoded picture, which Pillow keeps whole, no other copy of it is made."""
FIRST_TO_BE_KILLED = "1000"
PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


class BadPicture(Exception):
    """Not the picture that was asked for; the text says why."""


def main(megabytes: int) -> None:
    """Answers until stdin ends: `{"pixel_sha256": …}` or `{"bad": "why"}`."""
    _lock(megabytes)
    for line in sys.stdin:
        try:
            answer = {"pixel_sha256": check(**json.loads(line))}
        except BadPicture as bad:
            answer = {"bad": str(bad)[:300]}
        except MemoryError:
            answer = {"bad": "it does not decode in the memory allowed"}
        except Exception as bad:  # whatever a decoder trips over is the picture's fault
            answer = {"bad": f"it does not decode: {type(bad).__name__}: {str(bad)[:200]}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _lock(megabytes: int) -> None:
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write(FIRST_TO_BE_KILLED)  # and not its agent, or a program of the machine's owner
    memory = megabytes << 20
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def check(path: str, width: int | None, height: int | None, bits: int) -> str:
    """Hash of the decoded samples (PROTOCOL.md of the render image). Without `width` and `height` any size will do."""
    Image.MAX_IMAGE_PIXELS = None  # the size is checked here, exactly
    warnings.simplefilter("error")
    with open(path, "rb") as file:
        file.seek(-len(PNG_END), 2)
        if file.read() != PNG_END:
            raise BadPicture("it is cut off")
    with Image.open(path, formats=("PNG",)) as image:
        size, mode, deep = image.size, image.mode, _is_deep(image)
        if width is not None and size != (width, height):
            raise BadPicture(f"it is {size[0]}x{size[1]}, not {width}x{height}")
        if getattr(image, "n_frames", 1) != 1:
            raise BadPicture("it is an animation")
        if (16 if deep else 8) != bits or (mode not in CHANNELS and not mode.startswith("I;16")):
            raise BadPicture(f"its samples are {mode} of {16 if deep else 8} bits, not {bits}")
        samples = _deep(path, mode) if deep else (band.tobytes() for band in _bands(image))
        return _hash(size, mode, samples, bits)


def _is_deep(image: Any) -> bool:
    return image.mode.startswith("I;16") or str(image.tile[0].args).endswith(";16B")


def _hash(size: tuple[int, int], mode: str, samples: Iterable[bytes | bytearray], bits: int) -> str:
    channels = CHANNELS.get(mode, 1)
    digest = hashlib.sha256(f"framelend-pixels-v1 {size[0]} {size[1]} {channels} {bits}\n".encode())
    for some in samples:
        digest.update(some)
    return digest.hexdigest()


def _bands(image: Any) -> Iterator[Any]:
    """From above, each over the whole width."""
    width, height = image.size
    rows = max(1, BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield image.crop((0, top, width, min(top + rows, height)))


def _deep(path: str, mode: str) -> Iterator[bytes | bytearray]:
    """16-bit samples, little endian. Pillow keeps 8 bits of a colour PNG, so it is read twice: high bytes, then low ones."""
    if mode.startswith("I;16"):
        with Image.open(path, formats=("PNG",)) as image:
            yield from (band.convert("I;16").tobytes() for band in _bands(image))
        return
    with _half(path, f"{mode};16L") as low, _half(path, f"{mode};16B") as high:
        for low_band, high_band in zip(_bands(low), _bands(high), strict=True):
            some = low_band.tobytes()
            samples = bytearray(2 * len(some))
            samples[0::2], samples[1::2] = some, high_band.tobytes()
            yield samples


def _half(path: str, raw: str) -> Image.Image:
    image = Image.open(path, formats=("PNG",))
    if isinstance(image, ImageFile.ImageFile):
        image.tile = [image.tile[0]._replace(args=raw)]
    return image


if __name__ == "__main__":
    main(int(sys.argv[1]))
