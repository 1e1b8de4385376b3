"""The best correlation of two pictures over the crops of either that may lie between them, and the places of a watermark."""

from __future__ import annotations

import numpy as np
from numba import njit

from curate.dedupers.thumbnail_join.waves import FLOOR, STEPS, WAVES, cropped

BAIL = (0.2, 0.35)
"""Where no even crop, and then no coarse one, correlates so much, no finer one is looked for."""
EVEN = 4
"""The even crops lead the starts."""


@njit(cache=True, nogil=True, fastmath=True)
def correlation(a, b, ground, rows, columns):  # type: ignore[no-untyped-def]
    """Cosine of so many of two pictures' lowest waves over a noise floor, which counts `ground` itself."""
    ab, aa, bb = np.float32(0), np.float32(0), np.float32(0)
    for i in range(rows):
        for j in range(columns):
            ab += a[i, j] * b[i, j]
            aa += a[i, j] * a[i, j]
            bb += b[i, j] * b[i, j]
    floor = np.float32(FLOOR * FLOOR)
    return (ab + ground * floor) / np.sqrt((aa + floor) * (bb + floor))


@njit(cache=True, nogil=True)
def _inside(a, b, crop, table, ground, between, out):  # type: ignore[no-untyped-def]
    """Correlation of b with the inside of a, over the waves that a tells of it: what is cut takes the finest away."""
    cropped(a, crop[0], crop[1], crop[2], crop[3], table, between, out)
    return correlation(out, b, ground, _told(crop[2] + crop[3]), _told(crop[0] + crop[1]))


@njit(cache=True, nogil=True, inline="always")
def _told(cut):  # type: ignore[no-untyped-def]
    return WAVES * (100 - cut) // 100


@njit(cache=True, nogil=True)
def search(a, b, table, ground):  # type: ignore[no-untyped-def]
    """Best correlation of b with an inside of a: coarse crops first, then edge by edge."""
    between, out = np.empty((WAVES, WAVES), np.float32), np.empty((WAVES, WAVES), np.float32)
    best, crop, trial = np.float32(-2), np.zeros(4, np.int64), np.zeros(4, np.int64)
    for start in range(table.starts.shape[0]):
        if start == EVEN and best < BAIL[0]:
            return best
        s = table.starts[start]
        c = _inside(a, b, s, table, ground, between, out)
        if c > best:
            best = c
            crop[:] = s
    if best < BAIL[1]:
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
                    c = _inside(a, b, trial, table, ground, between, out)
                    if c > best:
                        best = c
                        crop[:] = trial
                        moved = True
        step //= 2
    return best


@njit(cache=True, nogil=True)
def outside(a, b, table, ground, height, width):  # type: ignore[no-untyped-def]
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
