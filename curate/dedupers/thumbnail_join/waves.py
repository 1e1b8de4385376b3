"""The layout of a perceptual vector, and what a crop, a mirror or a turn of the picture does to its waves.

The vector is the embedder's (`curate/embedders/perceptual.py` states its layout). numba kernels; the tables are built once by
numpy.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

WAVES = 24
LUMA = WAVES * WAVES
CHROMA = 10
_CORNER = tuple((y, x) for y in range(4) for x in range(4 - y))
RESOLUTION = LUMA + 1 + 2 * CHROMA
CELLS = 24
DETAIL = RESOLUTION + 1
RENDERED = DETAIL + CELLS * CELLS
FRAMES = RENDERED + 1
WIDTH = FRAMES + 1
FLOOR = 10.0
SHARP = 0.25

STEPS = 15
"""Crops are tried in steps of 1 % of the side, at most STEPS − 1 of them at each edge."""
TINY = 0.5
"""Resolution entry below which a picture's thumbnail is an enlargement."""
_CROPS = np.array(
    [
        *((even, even, even, even) for even in (0, 2, 4, 6)),
        *((a, b, 2, 2) for a, b in ((4, 1), (1, 4))),
        *((2, 2, a, b) for a, b in ((4, 1), (1, 4))),
        *((*across, *down) for across in ((5, 2), (2, 5)) for down in ((5, 2), (2, 5))),
    ]
)
"""Where the search begins: steps cut at the left, right, top and bottom; the even crops lead."""


class Tables(NamedTuple):
    """What the kernels look up."""

    crops: NDArray[np.float32]
    """(STEPS, STEPS, WAVES, WAVES): the waves of a side after cutting i steps before and j behind, from those of the whole."""
    weight: NDArray[np.float32]
    """(WAVES, WAVES) the embedder's whitening."""
    unweight: NDArray[np.float32]
    pixels: NDArray[np.float32]
    """(WAVES, WAVES) orthonormal inverse cosine transform."""
    starts: NDArray[np.int64]


def side_crop(before: float, behind: float) -> NDArray[np.float32]:
    """(WAVES, WAVES): turns the waves of a side into those of what is left after cutting these shares at its ends."""
    waves = np.arange(WAVES)
    scale = np.where(waves > 0, np.sqrt(2), 1)
    points = (np.arange(2 * WAVES) + 0.5) / (2 * WAVES)
    analysis = (scale * np.cos(np.pi * waves * points[:, None])).T / len(points)
    inside = before + points * (1 - before - behind)
    found: NDArray[np.float32] = (analysis @ (scale * np.cos(np.pi * waves * inside[:, None]))).astype(np.float32)
    return found


@cache
def tables() -> Tables:
    """Build the look-up tables; about 2 MB."""
    waves = np.arange(WAVES)
    scale = np.where(waves > 0, np.sqrt(2), 1)
    crops = np.array([[side_crop(before / 100, behind / 100) for behind in range(STEPS)] for before in range(STEPS)])
    weight = 1 + np.hypot(waves[:, None], waves[None, :])
    weight[0, 0] = 0
    unweight = np.divide(1, weight, out=np.zeros_like(weight), where=weight > 0)
    grid = (waves + 0.5) / WAVES
    pixels = scale * np.cos(np.pi * waves * grid[:, None]) / np.sqrt(WAVES)
    return Tables(crops, weight.astype(np.float32), unweight.astype(np.float32), pixels.astype(np.float32), _CROPS)


def pose(vectors: NDArray[np.float32], mirror: bool, quarter_turns: int) -> NDArray[np.float32]:
    """The vectors (n, WIDTH) of the same pictures mirrored left to right, then turned counterclockwise."""
    out = vectors.copy()
    if not mirror and quarter_turns % 4 == 0:
        return out
    grids = [(np.arange(LUMA).reshape(WAVES, WAVES), WAVES)]
    for start in (LUMA + 1, LUMA + 1 + CHROMA):
        corner = np.full((4, 4), -1)
        corner[tuple(zip(*_CORNER, strict=True))] = start + np.arange(CHROMA)
        grids.append((corner, 4))
    for places, side in grids:
        there = places >= 0
        grid = np.where(there, vectors[:, places], 0).astype(np.float32)  # (n, side, side)
        odd = np.where(np.arange(side) % 2 == 1, -1, 1).astype(np.float32)
        if mirror:
            grid = grid * odd
        for _ in range(quarter_turns % 4):
            grid = grid.transpose(0, 2, 1) * odd[:, None]
        out[:, places[there]] = grid[:, there]
    return out


@njit(cache=True, nogil=True, fastmath=True)
def cropped(picture, left, right, top, bottom, table, between, out):  # type: ignore[no-untyped-def]
    """Write the waves of the picture's inside to `out`."""
    across, down = table.crops[left, right], table.crops[top, bottom]
    for i in range(WAVES):
        for j in range(WAVES):
            between[i, j] = 0
        for k in range(WAVES):
            factor = down[i, k]
            for j in range(WAVES):
                between[i, j] += factor * picture[k, j] * table.unweight[k, j]
    for i in range(WAVES):
        for j in range(WAVES):
            total = np.float32(0)
            for k in range(WAVES):
                total += across[j, k] * between[i, k]
            out[i, j] = total * table.weight[i, j]


@njit(cache=True, nogil=True)
def grey_scale(vector):  # type: ignore[no-untyped-def]
    """What turns a unit vector's entries back into grey levels."""
    return FLOOR / max(np.hypot(vector[0], vector[LUMA]), 1e-6)


@njit(cache=True, nogil=True)
def is_tiny(vector, scale):  # type: ignore[no-untyped-def]
    """Whether the picture is smaller than its thumbnail."""
    return vector[RESOLUTION] * scale < TINY * FLOOR


@njit(cache=True, nogil=True)
def luma_of(vector, scale):  # type: ignore[no-untyped-def]
    """(WAVES, WAVES) the waves of the grey picture, in grey levels, without its mean."""
    waves = vector[:LUMA].copy().reshape(WAVES, WAVES) * np.float32(scale)
    waves[0, 0] = 0
    return waves
