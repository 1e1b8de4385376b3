"""Draws images side by side: one row a group, the kept one first."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

_CELL = 160  # pixels
_GAP = 8
_CAPTION = 16
_PAPER, _INK, _FRAME = (250, 250, 248), (40, 40, 40), (60, 130, 90)


class Tile(NamedTuple):
    """An encoded picture and the words under it."""

    media: bytes
    caption: str


def contact_sheet(rows: Sequence[Sequence[Tile]]) -> bytes:
    """Draw rows of tiles as one PNG; the first tile of each row is framed.

    Small images are enlarged by whole factors, so that pixels stay square.
    """
    columns = max((len(row) for row in rows), default=1)
    width = columns * (_CELL + _GAP) + _GAP
    height = max(1, len(rows)) * (_CELL + _CAPTION + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    for r, row in enumerate(rows):
        for c, tile in enumerate(row):
            left, top = _GAP + c * (_CELL + _GAP), _GAP + r * (_CELL + _CAPTION + _GAP)
            picture = _fitted(tile.media)
            sheet.paste(picture, (left + (_CELL - picture.width) // 2, top + (_CELL - picture.height) // 2))
            if c == 0:
                draw.rectangle((left - 2, top - 2, left + _CELL + 1, top + _CELL + 1), outline=_FRAME, width=2)
            draw.text((left, top + _CELL + 3), tile.caption, fill=_INK, font=font)
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def _fitted(media: bytes) -> Image.Image:
    with Image.open(io.BytesIO(media)) as image:
        picture = image.convert("RGB")
    longest = max(picture.size)
    if longest * 2 <= _CELL:
        factor = _CELL // longest
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((_CELL, _CELL))
    return picture
