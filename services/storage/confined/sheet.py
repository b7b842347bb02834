"""A contact sheet: up to 24 frames of a job on one picture."""

import io
import math
from collections.abc import Iterable

from PIL import Image

from services.storage.confined.pictures import smaller

COLUMNS, TILE_WIDTH, GAP = 6, 320, 8
INK = (18, 18, 20)


def sheet(pictures: Iterable[bytes]) -> bytes:
    """PNG, from PNGs of one size."""
    tiles = [_tile(data) for data in pictures]
    columns = min(COLUMNS, math.ceil(math.sqrt(len(tiles) * 1.5)))
    rows = math.ceil(len(tiles) / columns)
    width, height = tiles[0].size
    page = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), INK)
    for at, tile in enumerate(tiles):
        page.paste(tile, (GAP + at % columns * (width + GAP), GAP + at // columns * (height + GAP)))
    out = io.BytesIO()
    page.save(out, "PNG", optimize=True)
    return out.getvalue()


def _tile(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        seen = smaller(image, TILE_WIDTH, TILE_WIDTH * 2).convert("RGBA")
    ground = Image.new("RGBA", seen.size, (*INK, 255))
    return Image.alpha_composite(ground, seen).convert("RGB")
