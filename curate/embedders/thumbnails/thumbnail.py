"""Decodes an image file to the few pixels that its perceptual vector is made of."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curate.embedders.thumbnails import detail
from curate.embedders.thumbnails.kernels import SIZE, border_share
from curate.embedders.thumbnails.levels import in_eight_bits

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGE = 4 * SIZE
"""A picture is averaged down before all else, as far as its shorter side stays this long."""
_SMALL = 64
"""Pictures with a shorter side than this are never trimmed: the margin of an icon or a digit is part of it."""
_EXIF_WITHIN = 2**16
"""EXIF stands among the first segments of a JPEG, of which each is at most so long."""


class Reduced(NamedTuple):
    """A picture as it stands in its file, reduced.

    Attributes:
        pixels: (height, width, 3) Y, Cb, Cr.
        size: width and height of the file's picture.
        scale: a side of `pixels` over that of the file's picture, before rounding up.
        orientation: of EXIF, 1 to 8.
        moving: the detail of all frames and how many there are, where there are several.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    scale: float
    orientation: int
    moving: tuple[NDArray[np.float32], int] | None = None


class Decoded(NamedTuple):
    """A picture as it stands in its file, what of it counts, and how it is to be turned.

    Attributes:
        pixels: (height, width, 3) Y, Cb, Cr.
        box: left, top, right and bottom of what counts, in pixels and parts of pixels.
        orientation: of EXIF, 1 to 8.
        side: the file's shorter side in pixels, before any reduction.
        rendered: `detail.rendered_share`, or 0 where no detail is told.
        frames: how many frames or pages differ from the one before; 1 for a still picture.
        detail: (CELLS²,) of `detail.project`, or zeros.
    """

    pixels: NDArray[np.uint8]
    box: tuple[float, float, float, float]
    orientation: int
    side: int
    rendered: float
    frames: int
    detail: NDArray[np.float32]


_NO_DETAIL = np.zeros(detail.CELLS**2, np.float32)
_MOVING = ("GIF", "PNG", "WEBP", "TIFF")
"""The formats of which each frame counts; the further pictures of a JPEG are previews of the first."""


def decode(data: bytes) -> Decoded:
    """Decode one file to luma and chroma, without alpha, and find its plain border.

    The pixels are those of the first frame, and the detail is that of all; `levels` says what becomes of transparency and of
    depth. A JPEG is decoded at the coarsest eighth that still has SIZE pixels a side; if it looks rendered, once more in full.
    """
    read = _jpeg(data) or _opened(data)
    box = _box(read)
    rendered, frames, told = 0.0, 1, _NO_DETAIL
    if read.moving is not None:
        told, frames = read.moving
    elif min(read.size) >= detail.LEAST_SIDE:
        rendered = detail.rendered_share(read.pixels, *box)
        if rendered >= detail.PERHAPS_RENDERED:
            told = detail.project(_fine_map(data, read.orientation))
        else:
            rendered = 0.0
    return Decoded(read.pixels, box, read.orientation, min(read.size), rendered, frames, told)


def _fine_map(data: bytes, orientation: int) -> NDArray[np.float32]:
    """The map of a rendered picture, from all its pixels: averaged before, a copy of another size would have another."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as file:
        if file.format in ("JPEG", "MPO"):
            file.draft("L", (8 * detail.SIDE, 8 * detail.SIDE))
        return detail.fine_map(in_eight_bits(file).getchannel("Y"), orientation)


def _box(read: Reduced) -> tuple[float, float, float, float]:
    """What counts of the pixels: all but a plain border."""
    # A reduced decode rounds its size up: the last row and column stand for a part of a pixel only.
    height, width = read.pixels.shape[:2]
    right, bottom = min(read.size[0] * read.scale, width), min(read.size[1] * read.scale, height)
    if min(read.size) < _SMALL:
        return 0.0, 0.0, right, bottom
    cut = [border_share(read.pixels, side) for side in range(4)]
    return cut[0] * right, cut[1] * bottom, (1 - cut[2]) * right, (1 - cut[3]) * bottom


def _jpeg(data: bytes) -> Reduced | None:
    """An ordinary JPEG by libjpeg-turbo, which hands it over in fewer steps than Pillow; None where Pillow is to read it."""
    if data[:3] != b"\xff\xd8\xff":
        return None
    import simplejpeg
    from PIL import Image

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in ("YCbCr", "Gray") or width * height > (Image.MAX_IMAGE_PIXELS or 0):
            return None
        kind = "RGB" if colours == "YCbCr" else "GRAY"
        pixels = simplejpeg.decode_jpeg(data, kind, min_height=min(SIZE, height), min_width=min(SIZE, width))
    except ValueError:  # damaged: Pillow says how
        return None
    rows, columns = pixels.shape[:2]
    picture = Image.frombuffer("RGB" if kind == "RGB" else "L", (columns, rows), pixels).convert("YCbCr")
    orientation = 1
    if b"Exif\0\0" in data[:_EXIF_WITHIN]:
        with Image.open(io.BytesIO(data)) as file:
            orientation = _orientation(file)
    eighths = max(_eighths(columns, width), _eighths(rows, height))
    return _averaged(picture, (width, height), eighths / 8, orientation)


def _eighths(reduced: int, full: int) -> int:
    """The least number of eighths of a side that round up to the reduced one."""
    return next(n for n in range(1, 9) if -(-full * n // 8) >= reduced)


def _opened(data: bytes) -> Reduced:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as file:
        full = file.size
        if file.format in ("JPEG", "MPO"):
            file.draft("YCbCr" if file.mode in ("RGB", "YCbCr") else "L", (SIZE, SIZE))
        # Pillow's draft halves, and rounds up.
        scale = 1 / round(full[0] / file.size[0]) if file.size != full else 1.0
        orientation = _orientation(file)
        read = _averaged(in_eight_bits(file), full, scale, orientation)
        if file.format in _MOVING and getattr(file, "n_frames", 1) > 1:
            moving = detail.project_frames(file)
            return read._replace(moving=moving if moving[1] > 1 else None)
        return read


def _orientation(file: Image) -> int:
    told = file.getexif().get(0x0112, 1) if "exif" in file.info or "Orientation" in file.info else 1
    return told if 1 <= told <= 8 else 1


def _averaged(picture: Image, size: tuple[int, int], scale: float, orientation: int) -> Reduced:
    """The picture's pixels, in whole steps averaged down towards _LARGE."""
    fine = min(picture.size) // _LARGE
    if fine > 1:
        picture, scale = picture.reduce(fine), scale / fine
    pixels = np.frombuffer(picture.tobytes(), np.uint8).reshape(picture.height, picture.width, 3)
    return Reduced(pixels, size, scale, orientation)
