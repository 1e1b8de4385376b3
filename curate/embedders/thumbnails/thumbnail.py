"""Decodes an image file to the few pixels that its perceptual vector is made of."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curate.embedders.thumbnails.jpeg import block_means, head
from curate.embedders.thumbnails.kernels import BORDER_LEVELS, SIZE, border_share

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGE = 4 * SIZE
"""A picture is averaged down before all else, as far as its shorter side stays this long."""
_Read = tuple[NDArray[np.uint8], tuple[int, int], int]
"""Pixels (height, width, 3), the size of the file's picture, and its orientation."""
_SMALL = 64
"""Pictures with a shorter side than this are never trimmed: the margin of an icon or a digit is part of it."""


class Decoded(NamedTuple):
    """A picture as it stands in its file, what of it counts, and how it is to be turned.

    Attributes:
        pixels: (height, width, 3) Y, Cb, Cr.
        box: left, top, right and bottom of what counts, in pixels and parts of pixels.
        orientation: of EXIF, 1 to 8.
        side: the file's shorter side in pixels, before any reduction.
    """

    pixels: NDArray[np.uint8]
    box: tuple[float, float, float, float]
    orientation: int
    side: int


def decode(data: bytes) -> Decoded:
    """Decode one file to luma and chroma, without alpha, and find its plain border.

    The first frame stands for an animation; transparency lies on white, or on black where that would hide the drawing; 16-bit
    greys are scaled, not clipped. A JPEG is decoded at the coarsest eighth that still has SIZE pixels a side.
    """
    pixels, full, orientation = _eighth(data) or _opened(data)
    # A reduced decode rounds its size up: the last row and column stand for a part of a pixel only.
    height, width = pixels.shape[:2]
    scale = max(width / full[0], height / full[1])
    scale = 1 / round(1 / scale) if scale < 1 else 1.0
    right, bottom = min(full[0] * scale, width), min(full[1] * scale, height)
    box = (0.0, 0.0, right, bottom)
    if min(full) >= _SMALL:
        cut = [border_share(pixels, side) for side in range(4)]
        if any(cut):
            box = (cut[0] * right, cut[1] * bottom, (1 - cut[2]) * right, (1 - cut[3]) * bottom)
    return Decoded(pixels, box, orientation, min(full))


def _eighth(data: bytes) -> _Read | None:
    """An ordinary JPEG at an eighth of its size, where that is enough; the same pixels as `_opened` reads, sooner."""
    from PIL import Image

    found = head(data)
    if found is None:
        return None
    size = found.tables.width, found.tables.height
    if min(size) < 8 * SIZE or size[0] * size[1] > (Image.MAX_IMAGE_PIXELS or 0):
        return None
    pixels = block_means(data, found)
    if pixels is None:
        return None
    orientation = 1
    if found.exif:
        with Image.open(io.BytesIO(data)) as file:
            orientation = _orientation(file)
    if min(pixels.shape[:2]) >= 2 * _LARGE:
        pixels = _averaged(Image.frombuffer("YCbCr", (pixels.shape[1], pixels.shape[0]), pixels))
    return pixels, size, orientation


def _opened(data: bytes) -> _Read:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as file:
        full = file.size
        if file.format in ("JPEG", "MPO"):
            file.draft("YCbCr" if file.mode in ("RGB", "YCbCr") else "L", (SIZE, SIZE))
        orientation = _orientation(file)
        return _averaged(_opaque(file)), full, orientation


def _orientation(file: Image) -> int:
    told = file.getexif().get(0x0112, 1) if "exif" in file.info or "Orientation" in file.info else 1
    return told if 1 <= told <= 8 else 1


def _averaged(picture: Image) -> NDArray[np.uint8]:
    """The picture's pixels, in whole steps averaged down towards _LARGE."""
    fine = min(picture.size) // _LARGE
    picture = picture.reduce(fine) if fine > 1 else picture
    return np.frombuffer(picture.tobytes(), np.uint8).reshape(picture.height, picture.width, 3)


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
                if any(high - low > BORDER_LEVELS for low, high in _extrema(flat)):
                    break
            return flat.convert("YCbCr")
        return layered.convert("RGB").convert("YCbCr")
    if file.mode == "YCbCr":
        return file
    # Pillow converts neither palettes nor CMYK to YCbCr in one step.
    return (file if file.mode in ("L", "RGB") else file.convert("RGB")).convert("YCbCr")


def _extrema(picture: Image) -> list[tuple[int, int]]:
    return [band.getextrema() for band in picture.split()]  # type: ignore[misc]
