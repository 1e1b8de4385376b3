"""How alike two perceptual vectors are, after the crop, watermark or mirror that may lie between them is undone.

The vector is the embedder's (`curate/embedders/perceptual.py` states its layout), and everything here is a function of the two
vectors alone. numba kernels; the tables are built once by numpy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

WAVES = 24
LUMA = WAVES * WAVES
CHROMA = 10
WIDTH = LUMA + 2 + 2 * CHROMA
FLOOR = 10.0

STEPS = 15
"""Crops are tried in steps of 1 % of the side, at most STEPS − 1 of them at each edge."""
BAIL = 0.35
"""Where no coarse crop correlates so much, no finer one is looked for."""
SAME_GREY = 12.0
"""Two plain pictures whose mean colours differ by so many levels are alike by a factor of 1/e."""
COLOURED = 4.0
"""A picture whose chroma is weaker than this, in levels, says nothing about colour."""
DETAIL = (200.0, 60.0)
"""Waves that must carry the contrast before a correlation is believed in full: of two tiny pictures, and of others."""
TINY = 0.5
"""Resolution entry below which a picture's thumbnail is an enlargement."""
_CROPS = np.array(
    [(0, 0, 0, 0), (2, 2, 2, 2), (4, 4, 4, 4), (6, 6, 6, 6), (4, 1, 2, 2), (1, 4, 2, 2), (2, 2, 4, 1), (2, 2, 1, 4)]
    + [(5, 2, 5, 2), (5, 2, 2, 5), (2, 5, 5, 2), (2, 5, 2, 5)],
    np.int64,
)  # left, right, top, bottom, in steps


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


def tables() -> Tables:
    """Build the look-up tables; about 2 MB."""
    waves = np.arange(WAVES)
    scale = np.where(waves > 0, np.sqrt(2), 1)
    points = (np.arange(2 * WAVES) + 0.5) / (2 * WAVES)
    analysis = (scale * np.cos(np.pi * waves * points[:, None])).T / len(points)
    crops = np.empty((STEPS, STEPS, WAVES, WAVES), np.float32)
    for before in range(STEPS):
        for behind in range(STEPS):
            inside = before / 100 + points * (1 - (before + behind) / 100)
            crops[before, behind] = analysis @ (scale * np.cos(np.pi * waves * inside[:, None]))
    weight = 1 + np.hypot(waves[:, None], waves[None, :])
    weight[0, 0] = 0
    unweight = np.divide(1, weight, out=np.zeros_like(weight), where=weight > 0)
    grid = (waves + 0.5) / WAVES
    pixels = scale * np.cos(np.pi * waves * grid[:, None]) / np.sqrt(WAVES)
    return Tables(crops, weight.astype(np.float32), unweight.astype(np.float32), pixels.astype(np.float32), _CROPS)


def pose(vector: NDArray[np.float32], mirror: bool, quarter_turns: int) -> NDArray[np.float32]:
    """The vectors (n, WIDTH) of the same pictures mirrored left to right, then turned counterclockwise."""
    out = vector.copy()
    luma = out[:, :LUMA].reshape(-1, WAVES, WAVES)
    odd = np.where(np.arange(WAVES) % 2 == 1, -1, 1).astype(np.float32)
    if mirror:
        luma = luma * odd
    for _ in range(quarter_turns % 4):
        luma = luma.transpose(0, 2, 1) * odd[:, None]
    out[:, :LUMA] = luma.reshape(-1, LUMA)
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


@njit(cache=True, nogil=True, fastmath=True)
def correlation(a, b, ground):  # type: ignore[no-untyped-def]
    """Cosine of two pictures' waves over a noise floor, which counts `ground` itself."""
    ab, aa, bb = np.float32(0), np.float32(0), np.float32(0)
    for i in range(WAVES):
        for j in range(WAVES):
            ab += a[i, j] * b[i, j]
            aa += a[i, j] * a[i, j]
            bb += b[i, j] * b[i, j]
    floor = np.float32(FLOOR * FLOOR)
    return (ab + ground * floor) / np.sqrt((aa + floor) * (bb + floor))


@njit(cache=True, nogil=True)
def _search(a, b, table, ground):  # type: ignore[no-untyped-def]
    """Best correlation of b with an inside of a: coarse crops first, then edge by edge."""
    between, out = np.empty((WAVES, WAVES), np.float32), np.empty((WAVES, WAVES), np.float32)
    best, crop, trial = np.float32(-2), np.zeros(4, np.int64), np.zeros(4, np.int64)
    for start in range(table.starts.shape[0]):
        s = table.starts[start]
        cropped(a, s[0], s[1], s[2], s[3], table, between, out)
        c = correlation(out, b, ground)
        if c > best:
            best = c
            crop[:] = s
    if best < BAIL:
        return best
    step = 2
    while step > 0:
        moved = True
        while moved:
            moved = False
            for edge in range(4):
                for move in (-step, step):
                    trial[:] = crop
                    trial[edge] += move
                    if trial[edge] < 0 or trial[edge] >= STEPS:
                        continue
                    cropped(a, trial[0], trial[1], trial[2], trial[3], table, between, out)
                    c = correlation(out, b, ground)
                    if c > best:
                        best = c
                        crop[:] = trial
                        moved = True
        step //= 2
    return best


@njit(cache=True, nogil=True)
def _outside(a, b, table, ground, height, width):  # type: ignore[no-untyped-def]
    """Best correlation when one window of the picture, where a watermark may lie, is left out."""
    pa, pb = table.pixels @ a @ table.pixels.T.copy(), table.pixels @ b @ table.pixels.T.copy()
    sums = np.zeros((3, WAVES + 1, WAVES + 1))
    for i in range(WAVES):
        for j in range(WAVES):
            x, y = pa[i, j], pb[i, j]
            for k, value in enumerate((x * x, y * y, x * y)):
                sums[k, i + 1, j + 1] = sums[k, i, j + 1] + sums[k, i + 1, j] - sums[k, i, j] + value
    best, floor, rest = -1.0, FLOOR * FLOOR, np.zeros(3)
    for i in range(WAVES - height + 1):
        for j in range(WAVES - width + 1):
            for k in range(3):
                s = sums[k]
                rest[k] = s[WAVES, WAVES] - s[i + height, j + width] + s[i, j + width] + s[i + height, j] - s[i, j]
            c = (rest[2] + ground * floor) / np.sqrt((rest[0] + floor) * (rest[1] + floor))
            best = max(best, c)
    return best


@njit(cache=True, nogil=True)
def _spread(luma):  # type: ignore[no-untyped-def]
    """How many waves carry the contrast: (Σ energy)² / Σ energy²."""
    total, square = 1e-12, 1e-12
    for i in range(WAVES):
        for j in range(WAVES):
            energy = np.float64(luma[i, j]) ** 2
            total += energy
            square += energy * energy
    return total * total / square


@njit(cache=True, nogil=True)
def measure(left, right, posed, table):  # type: ignore[no-untyped-def]
    """The verified measure of one pair.

    `left` comes in the poses that count as the same: posed is (p, WIDTH), its first row `left` itself.
    """
    if np.array_equal(left, right):
        return np.float32(1)
    scale_a = FLOOR / np.hypot(left[0], left[LUMA])
    scale_b = FLOOR / np.hypot(right[0], right[LUMA])
    b = right[:LUMA].copy().reshape(WAVES, WAVES) * np.float32(scale_b)
    b[0, 0] = 0
    grey_a = np.arctan2(left[LUMA], left[0]) * 255 / np.pi
    grey_b = np.arctan2(right[LUMA], right[0]) * 255 / np.pi
    chroma_a, chroma_b = left[LUMA + 1 : WIDTH - 1] * scale_a, right[LUMA + 1 : WIDTH - 1] * scale_b
    apart = (grey_a - grey_b) ** 2 + (chroma_a[0] - chroma_b[0]) ** 2 + (chroma_a[CHROMA] - chroma_b[CHROMA]) ** 2
    ground = np.float32(np.exp(-apart / SAME_GREY**2))
    tiny = left[WIDTH - 1] * scale_a < TINY * FLOOR and right[WIDTH - 1] * scale_b < TINY * FLOOR
    best = np.float32(-1)
    spread = np.float64(0)
    for p in range(posed.shape[0]):
        a = posed[p, :LUMA].copy().reshape(WAVES, WAVES) * np.float32(scale_a)
        a[0, 0] = 0
        if p == 0:
            energy_a, energy_b = (a * a).sum(), (b * b).sum()
            spread = min(_spread(a), _spread(b))
        c = correlation(a, b, ground)
        if not tiny and min(energy_a, energy_b) > FLOOR * FLOOR:
            if c > 0.4:
                c = max(c, np.float32(_outside(a, b, table, ground, 5, 10)), np.float32(_outside(a, b, table, ground, 10, 5)))
            if c < 0.97:
                c = max(c, _search(a, b, table, ground), _search(b, a, table, ground))
        best = max(best, c)
    if max(energy_a, energy_b) < FLOOR * FLOOR:
        return best
    wanted = DETAIL[0] if tiny else DETAIL[1]
    believed = np.sqrt(min(spread / wanted, 1.0))
    return np.float32(np.tanh(np.arctanh(min(np.float64(best), 0.9999999)) * believed))
