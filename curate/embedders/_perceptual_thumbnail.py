"""Decodes an image file to the small picture that its perceptual vector is made of."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 48
"""Side of the thumbnail in pixels; a JPEG is decoded at the coarsest eighth that still has that many."""
_BORDER_CAP = 6
"""A border is at most one in so many of the rows."""
_BORDER_LEVELS = 6
"""A border's pixels lie within so many grey levels of their middle: a JPEG's own noise, no texture."""
_EDGE_LEVELS = 12
_EDGE_SHARE = 0.5
"""Beyond a border at least this share of the pixels differ from it by more than so many levels; a soft margin stays."""
_SMALL = 64
"""Pictures with a shorter side than this are never trimmed: the margin of an icon or a digit is part of it."""


def thumbnail(data: bytes) -> tuple[NDArray[np.uint8], int]:
    """Decode one file to luma and chroma, upright, without alpha, and without a plain border.

    EXIF orientation is applied; the first frame stands for an animation; transparency lies on white, or on black
    where that would hide the drawing; 16-bit greys are scaled, not clipped.

    Returns:
        (SIZE, SIZE, 3) Y, Cb, Cr; the aspect ratio is not kept, so a squashed copy looks the same. And the file's shorter side
        in pixels.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data)) as file:
        full = file.size
        if file.format == "JPEG":
            file.draft("YCbCr" if file.mode in ("RGB", "YCbCr") else "L", (SIZE, SIZE))
        orientation = file.getexif().get(0x0112, 1) if "exif" in file.info or "Orientation" in file.info else 1
        picture = _opaque(file)
    # A reduced decode rounds its size up: the last row and column stand for a part of a pixel only.
    scale = max(picture.width / full[0], picture.height / full[1])
    scale = 1 / round(1 / scale) if scale < 1 else 1.0
    box = (0.0, 0.0, min(full[0] * scale, picture.width), min(full[1] * scale, picture.height))
    if min(full) >= _SMALL:
        left, top, right, bottom = _plain_border(picture)
        width, height = box[2], box[3]
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    small = picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return np.asarray(small if turn is None else small.transpose(turn)), min(full)


def _opaque(file: Image) -> Image:
    """The decoded picture in YCbCr, transparency laid on a plain ground."""
    from PIL import Image

    if file.mode.startswith("I"):  # 16-bit greys: Pillow's own conversion clips them at 255
        grey = np.asarray(file).astype(np.float64)
        top = 65535.0 if grey.max(initial=0) > 255 else 255.0
        return Image.fromarray((grey * (255 / top)).clip(0, 255).astype(np.uint8)).convert("YCbCr")
    if file.mode == "F":
        return Image.fromarray(np.asarray(file).clip(0, 255).astype(np.uint8)).convert("YCbCr")
    if "A" in file.mode or "a" in file.mode or "transparency" in file.info:
        layered = file.convert("RGBA")
        alpha = layered.getchannel("A")
        if alpha.getextrema() != (255, 255):
            for ground in ("white", "black"):
                flat = Image.new("RGB", layered.size, ground)
                flat.paste(layered, mask=alpha)
                if any(high - low > _BORDER_LEVELS for low, high in _extrema(flat)):
                    break
            return flat.convert("YCbCr")
        return layered.convert("RGB").convert("YCbCr")
    if file.mode == "YCbCr":
        file.load()
        return file.copy()
    # Pillow converts neither palettes nor CMYK to YCbCr in one step.
    return (file if file.mode in ("L", "RGB") else file.convert("RGB")).convert("YCbCr")


def _extrema(picture: Image) -> list[tuple[int, int]]:
    return [band.getextrema() for band in picture.split()]  # type: ignore[misc]


def _plain_border(picture: Image) -> tuple[float, float, float, float]:
    """Which share of the picture at the left, top, right and bottom is an added border."""
    band = picture.getchannel(0)
    fine = min(band.size) // (4 * SIZE)
    luma = np.asarray(band.reduce(fine) if fine > 1 else band)
    return tuple(_plain_rows(side) / len(side) for side in (luma.T, luma, luma.T[::-1], luma[::-1]))  # type: ignore[return-value]


def _plain_rows(luma: NDArray[np.uint8]) -> float:
    """Rows of one plain grey that end at a hard edge; 0 where the picture's own margin runs out softly."""
    low, high = int(luma[0].min()), int(luma[0].max())
    if high - low > 2 * _BORDER_LEVELS:
        return 0.0
    grey = (low + high) / 2
    strip = luma[: len(luma) // _BORDER_CAP + 2].astype(np.float32)
    away = np.abs(strip - grey)
    rows = int((away.max(axis=1) <= _BORDER_LEVELS).argmin())
    if not 0 < rows < len(strip) - 1 or (away[rows + 1] > _EDGE_LEVELS).mean() < _EDGE_SHARE:
        return 0.0
    # The row at the edge mixes border and picture; its share of border is found by least squares from its neighbours.
    inside, mixed = strip[rows + 1], strip[rows]
    share = float(((mixed - inside) * (grey - inside)).sum() / ((grey - inside) ** 2).sum())
    return rows + min(max(share, 0.0), 1.0)
