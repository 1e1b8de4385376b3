"""From decoded pixels to a perceptual vector: finds plain borders, and takes cosine waves of a thumbnail without making it.

Resampling and the cosine transform are both linear, so along the width they are one matrix. numba kernels, compiled once.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from curate.embedders.thumbnails.detail import CELLS, SHARP

SIZE = 48
"""Side of the thumbnail in pixels, whatever the picture's aspect ratio: a squashed copy looks the same."""
WAVES = 24
"""Luma cosine waves kept along each side."""
FEW = 4
"""Chroma waves along each side, of which those of less than this frequency are kept."""
CHROMA = tuple((y, x) for y in range(FEW) for x in range(FEW - y))
"""The (vertical, horizontal) waves of Cb and of Cr that are kept."""
FLOOR = 10.0
"""Weighted contrast, in grey levels, below which a picture is told by its mean grey and not by its noise."""
RESOLUTION = WAVES * WAVES + 1 + 2 * len(CHROMA)
"""Place of the entry that tells the size of the file's picture."""
DETAIL = RESOLUTION + 1
"""Where the detail begins; behind it stand how far the picture looks rendered, and its frames."""
DIMENSION = DETAIL + CELLS * CELLS + 2

BORDER_CAP = 6
"""A border is at most one in so many of the rows."""
BORDER_LEVELS = 6
"""A border's pixels lie within so many grey levels of their middle: a JPEG's own noise, no texture."""
EDGE_LEVELS = 12
EDGE_SHARE = 0.5
"""Beyond a border at least this share of the pixels differ from it by more than so many levels; a soft margin stays."""


def cosines() -> NDArray[np.float32]:
    """(SIZE, WAVES) type-II cosine transform, transposed, scaled so that a coefficient is in grey levels, root mean square."""
    phase = np.pi * (np.arange(SIZE) + 0.5)[:, None] * np.arange(WAVES)[None, :] / SIZE
    return (np.cos(phase) * np.where(np.arange(WAVES) > 0, np.sqrt(2), 1) / SIZE).astype(np.float32)


def whitening() -> NDArray[np.float32]:
    """(WAVES, WAVES) weight of each luma wave: 1 + its frequency, for photographs' amplitudes fall off as its inverse."""
    waves = np.arange(WAVES, dtype=np.float32)
    weight = 1 + np.hypot(waves[:, None], waves[None, :])
    weight[0, 0] = 0
    return weight.astype(np.float32)


@njit(cache=True, nogil=True)
def _luma(pixels, side, line, place):  # type: ignore[no-untyped-def]
    """Luma of a pixel, lines counted from the left, top, right or bottom."""
    if side == 0:
        return np.int64(pixels[place, line, 0])
    if side == 1:
        return np.int64(pixels[line, place, 0])
    if side == 2:
        return np.int64(pixels[place, pixels.shape[1] - 1 - line, 0])
    return np.int64(pixels[pixels.shape[0] - 1 - line, place, 0])


@njit(cache=True, nogil=True)
def border_share(pixels, side):  # type: ignore[no-untyped-def]
    """Share of the picture that is an added border at a side (0 left, 1 top, 2 right, 3 bottom).

    A border is lines of one plain grey that end at a hard edge; 0 where the picture's own margin runs out softly.
    """
    lines, across = (pixels.shape[1], pixels.shape[0]) if side % 2 == 0 else (pixels.shape[0], pixels.shape[1])
    low, high = 255, 0
    for place in range(across):
        value = _luma(pixels, side, 0, place)
        low, high = min(low, value), max(high, value)
        if high - low > 2 * BORDER_LEVELS:
            return 0.0
    grey, looked_at, border = (low + high) / 2, min(lines // BORDER_CAP + 2, lines), 0
    plain = True
    while plain and border < looked_at:
        for place in range(across):
            if abs(_luma(pixels, side, border, place) - grey) > BORDER_LEVELS:
                plain = False
                break
        border += plain
    if border == 0 or border >= looked_at - 1:
        return 0.0
    # The line at the edge mixes border and picture; its share of border is found by least squares from its neighbours.
    hard, mixture, contrast = 0, 0.0, 1e-12
    for place in range(across):
        inside, mixed = _luma(pixels, side, border + 1, place), _luma(pixels, side, border, place)
        hard += abs(inside - grey) > EDGE_LEVELS
        mixture += (mixed - inside) * (grey - inside)
        contrast += (grey - inside) ** 2
    if hard < EDGE_SHARE * across:
        return 0.0
    return (border + min(max(mixture / contrast, 0.0), 1.0)) / lines


@njit(cache=True, nogil=True)
def _taps(low, high, size, firsts, weights):  # type: ignore[no-untyped-def]
    """Triangle filter from `size` pixels, of which [low, high) count, to SIZE; how many pixels each takes in at most."""
    scale = (high - low) / SIZE
    reach = max(scale, 1.0)
    most = 0
    for to in range(SIZE):
        centre = low + (to + 0.5) * scale
        first, end = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), size)
        total = 0.0
        for at in range(first, end):
            total += max(1 - abs(at + 0.5 - centre) / reach, 0.0)
        for at in range(first, end):
            weights[to, at - first] = max(1 - abs(at + 0.5 - centre) / reach, 0.0) / total
        weights[to, end - first :] = 0
        firsts[to] = first
        most = max(most, end - first)
    return most


@njit(cache=True, nogil=True, fastmath=True)
def _waves(pixels, left, top, right, bottom, basis, waves, blue, red):  # type: ignore[no-untyped-def]
    """Write the cosine waves of the thumbnail's three planes."""
    height, width = pixels.shape[0], pixels.shape[1]
    firsts, weights = np.empty(SIZE, np.int64), np.empty((SIZE, max(height, width) + 1), np.float32)
    across = np.zeros((width, WAVES), np.float32)
    taps = _taps(left, right, width, firsts, weights)
    for to in range(SIZE):
        for tap in range(min(taps, width - firsts[to])):
            weight, added = weights[to, tap], across[firsts[to] + tap]
            for wave in range(WAVES):
                added[wave] += weight * basis[to, wave]
    taps = _taps(top, bottom, height, firsts, weights)
    flat, line = pixels.reshape(height, 3 * width), np.empty(3 * width, np.float32)
    planes = np.empty((3, SIZE, width), np.float32)
    for to in range(SIZE):
        line[:] = 0
        for tap in range(min(taps, height - firsts[to])):
            weight, added = weights[to, tap], flat[firsts[to] + tap]
            for at in range(3 * width):
                line[at] += weight * added[at]
        for plane in range(3):
            out = planes[plane, to]
            for at in range(width):
                out[at] = line[3 * at + plane]
    few, down = np.ascontiguousarray(across[:, :FEW]), np.ascontiguousarray(basis.T)
    waves[:] = np.dot(down, np.dot(planes[0], across))
    blue[:] = np.dot(down[:FEW], np.dot(planes[1], few))
    red[:] = np.dot(down[:FEW], np.dot(planes[2], few))


@njit(cache=True, nogil=True)
def _upright(waves, orientation):  # type: ignore[no-untyped-def]
    """Turn a picture's waves as EXIF says: mirroring alters the sign of odd waves."""
    turned = waves.T.copy() if orientation >= 5 else waves.copy()
    flip_across, flip_down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    for i in range(turned.shape[0]):
        for j in range(turned.shape[1]):
            if (flip_across and j % 2 == 1) != (flip_down and i % 2 == 1):
                turned[i, j] = -turned[i, j]
    return turned


@njit(cache=True, nogil=True)
def vector(pixels, left, top, right, bottom, orientation, side, rendered, frames, detail, basis, weight, out):  # type: ignore[no-untyped-def]
    """Write the unit vector (DIMENSION,) of a decoded picture (`thumbnail.Decoded`) to `out`."""
    waves, blue, red = np.empty((WAVES, WAVES), np.float32), np.empty((FEW, FEW), np.float32), np.empty((FEW, FEW), np.float32)
    _waves(pixels, left, top, right, bottom, basis, waves, blue, red)
    blue[0, 0] -= 128
    red[0, 0] -= 128
    angle = np.pi * waves[0, 0] / 255
    if orientation > 1:
        waves, blue, red = _upright(waves, orientation), _upright(blue, orientation), _upright(red, orientation)
    for i in range(WAVES):
        for j in range(WAVES):
            out[i * WAVES + j] = waves[i, j] * weight[i, j]
    luma = WAVES * WAVES
    out[0], out[luma] = FLOOR * np.cos(angle), FLOOR * np.sin(angle)
    for place, (i, j) in enumerate(CHROMA):
        out[luma + 1 + place] = blue[i, j]
        out[luma + 1 + len(CHROMA) + place] = red[i, j]
    out[RESOLUTION] = FLOOR * min(side / (2 * SIZE), 1.0)
    for at in range(CELLS * CELLS):
        out[DETAIL + at] = SHARP * detail[at]
    out[DIMENSION - 2] = FLOOR * rendered
    out[DIMENSION - 1] = FLOOR * np.log2(frames) / 8
    length = np.float32(0)
    for at in range(DIMENSION):
        length += out[at] * out[at]
    length = np.sqrt(length)
    for at in range(DIMENSION):
        out[at] /= length
