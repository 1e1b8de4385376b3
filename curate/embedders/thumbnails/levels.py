"""Turns a decoded picture of any depth into 8-bit luma and chroma, and lays transparency on a ground where it can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

NOMINAL_TOPS = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""The white of a picture whose values are fractions, or integers of 8, 10, 12, 14 and 16 bits."""
NARROW = 0.25
"""Values that fill less than this share of the nominal range are spread over all of it."""
TAIL = 0.1
"""Per cent of the values at either end that may be stray: dead pixels do not hide how narrow a range is."""
_SAMPLED = 2**16
PLAIN_LEVELS = 6
"""A picture whose channels all keep within so many levels shows nothing."""


def in_eight_bits(picture: Image) -> Image:
    """The picture in YCbCr, transparency laid on a plain ground; greys of more than 8 bits are scaled, not clipped."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return _grey(np.asarray(picture)).convert("YCbCr")
    if "A" in picture.mode or "a" in picture.mode or "transparency" in picture.info:
        return _opaque(picture.convert("RGBA")).convert("YCbCr")
    if picture.mode == "YCbCr":
        return picture
    # Pillow converts neither palettes nor CMYK to YCbCr in one step.
    return (picture if picture.mode in ("L", "RGB") else picture.convert("RGB")).convert("YCbCr")


def levels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale values of any range to 0 to 255, by the range that they fill.

    Fractions are those of 1, and integers those of the least usual depth that holds them, so that a deep copy equals the
    8-bit original. Where the values fill less than NARROW of that, or lie outside it, their own range is spread instead.
    NaN counts as the least value, and a picture of one value keeps its grey.
    """
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(values.shape, np.uint8)
    low, high = float(finite.min()), float(finite.max())
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    top = next((top for top in NOMINAL_TOPS if high <= top), None)
    inner_low, inner_high = np.percentile(finite[:: max(finite.size // _SAMPLED, 1)], (TAIL, 100 - TAIL))
    fills = None if low < 0 or top is None else (inner_high - inner_low) / top
    if fills is not None and (fills >= NARROW or inner_high == inner_low):
        low, high = 0.0, float(top or 1)
    elif inner_high > inner_low:
        low, high = float(inner_low), float(inner_high)
    scaled = (values - low) * (255 / (high - low)) if high > low else np.zeros(values.shape)
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def _grey(values: NDArray[Any]) -> Image:
    from PIL import Image

    return Image.fromarray(levels(values))


def _opaque(layered: Image) -> Image:
    """An RGBA picture on white; on black where that hides it; without its transparency where both do."""
    from PIL import Image

    alpha = layered.getchannel("A")
    beneath = layered.convert("RGB")
    if alpha.getextrema() == (255, 255):
        return beneath
    on_white, on_black = (Image.new("RGB", layered.size, ground) for ground in ("white", "black"))
    for flat in (on_white, on_black):
        flat.paste(layered, mask=alpha)
        if not is_plain(flat):
            return flat
    return on_black if is_plain(beneath) else beneath


def is_plain(picture: Image) -> bool:
    """Whether no channel of an 8-bit picture says more than one grey."""
    extrema: Any = [band.getextrema() for band in picture.split()]
    return all(high - low <= PLAIN_LEVELS for low, high in extrema)
