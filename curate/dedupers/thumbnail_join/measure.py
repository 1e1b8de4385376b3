"""How alike two perceptual vectors are, after the crop, watermark or mirror that may lie between them is undone.

The vector is the embedder's (`curate/embedders/perceptual.py` states its layout), and everything here is a function of the two
vectors alone. numba kernels; the tables are built once by numpy.
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
WIDTH = LUMA + 2 + 2 * CHROMA
FLOOR = 10.0

STEPS = 15
"""Crops are tried in steps of 1 % of the side, at most STEPS − 1 of them at each edge."""
BAIL = (0.2, 0.35)
"""Where no even crop, and then no coarse one, correlates so much, no finer one is looked for."""
SAME_GREY = 12.0
"""Two plain pictures whose mean colours differ by so many levels are alike by a factor of 1/e."""
COLOURED = 5.0
"""A picture whose chroma is weaker than this, in levels, says nothing about colour."""
HUES = (0.6, 0.8)
"""Two coloured pictures whose chroma correlates less than the first are different, more than the second the same."""
DETAIL = (200.0, 60.0)
"""Waves that must carry the contrast before a correlation is believed in full: of two tiny pictures, and of others."""
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
_EVEN = 4


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
def _search(a, b, table, ground):  # type: ignore[no-untyped-def]
    """Best correlation of b with an inside of a: coarse crops first, then edge by edge."""
    between, out = np.empty((WAVES, WAVES), np.float32), np.empty((WAVES, WAVES), np.float32)
    best, crop, trial = np.float32(-2), np.zeros(4, np.int64), np.zeros(4, np.int64)
    for start in range(table.starts.shape[0]):
        if start == _EVEN and best < BAIL[0]:
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
def _believed(best, a, b, wanted):  # type: ignore[no-untyped-def]
    """A correlation drawn towards 0 where few waves carry the contrast, by Fisher's z."""
    share = np.sqrt(min(min(_spread(a), _spread(b)) / wanted, 1.0))
    return np.tanh(np.arctanh(min(np.float64(best), 0.9999999)) * share)


@njit(cache=True, nogil=True)
def _hue(a, b):  # type: ignore[no-untyped-def]
    """1 where the colours agree or one picture has none, 0 where they contradict each other."""
    ab, aa, bb = 0.0, 1e-12, 1e-12
    for i in range(a.shape[0]):
        ab += a[i] * b[i]
        aa += a[i] * a[i]
        bb += b[i] * b[i]
    if min(aa, bb) < COLOURED**2:
        return 1.0
    return min(max((ab / np.sqrt(aa * bb) - HUES[0]) / (HUES[1] - HUES[0]), 0.0), 1.0)


@njit(cache=True, nogil=True)
def grey_scale(vector):  # type: ignore[no-untyped-def]
    """What turns a unit vector's entries back into grey levels."""
    return FLOOR / max(np.hypot(vector[0], vector[LUMA]), 1e-6)


@njit(cache=True, nogil=True)
def is_tiny(vector, scale):  # type: ignore[no-untyped-def]
    """Whether the picture is smaller than its thumbnail."""
    return vector[WIDTH - 1] * scale < TINY * FLOOR


@njit(cache=True, nogil=True)
def _luma(vector, scale):  # type: ignore[no-untyped-def]
    waves = vector[:LUMA].copy().reshape(WAVES, WAVES) * np.float32(scale)
    waves[0, 0] = 0
    return waves


@njit(cache=True, nogil=True)
def _same(left, right):  # type: ignore[no-untyped-def]
    for i in range(left.shape[0]):  # noqa: SIM110 (numba has no any over a generator)
        if left[i] != right[i]:
            return False
    return True


@njit(cache=True, nogil=True, fastmath=True)
def _quick(left, right, scale_a, scale_b, ground):  # type: ignore[no-untyped-def]
    """`correlation` of two whole pictures, straight from their vectors: most pairs of tiny pictures end here."""
    ab, aa, bb = np.float32(0), np.float32(0), np.float32(0)
    for i in range(1, LUMA):
        ab += left[i] * right[i]
        aa += left[i] * left[i]
        bb += right[i] * right[i]
    floor = FLOOR * FLOOR
    c = (ab * scale_a * scale_b + ground * floor) / np.sqrt((aa * scale_a**2 + floor) * (bb * scale_b**2 + floor))
    return np.float32(c)


@njit(cache=True, nogil=True)
def measure(left, right, posed, table, least):  # type: ignore[no-untyped-def]
    """The verified measure of one pair; where it is under `least`, any value under `least`.

    posed: (p, WIDTH), `left` in the poses that count as the same, `left` itself the first.
    """
    if _same(left, right):
        return np.float32(1)
    scale_a, scale_b = grey_scale(left), grey_scale(right)
    chroma_a, chroma_b = left[LUMA + 1 : WIDTH - 1] * scale_a, right[LUMA + 1 : WIDTH - 1] * scale_b
    grey_a, grey_b = np.arctan2(abs(left[LUMA]), left[0]), np.arctan2(abs(right[LUMA]), right[0])
    apart = ((grey_a - grey_b) * 255 / np.pi) ** 2
    apart += (chroma_a[0] - chroma_b[0]) ** 2 + (chroma_a[CHROMA] - chroma_b[CHROMA]) ** 2
    ground = np.float32(np.exp(-apart / SAME_GREY**2))
    tiny = is_tiny(left, scale_a) and is_tiny(right, scale_b)
    if tiny and posed.shape[0] == 1:
        c = _quick(left, right, scale_a, scale_b, ground)
        if c < least:
            return c
    b = _luma(right, scale_b)
    energy_b = (b * b).sum()
    best, energy_a = np.float32(-1), np.float32(0)
    for p in range(posed.shape[0]):
        a = _luma(posed[p], scale_a)
        energy_a = (a * a).sum()
        hue = _hue(posed[p, LUMA + 1 : WIDTH - 1] * scale_a, chroma_b)
        if hue < least:
            continue
        c = correlation(a, b, ground, WAVES, WAVES)
        if not tiny and min(energy_a, energy_b) > FLOOR * FLOOR:
            if c > 0.4:
                c = max(c, np.float32(_outside(a, b, table, ground, 5, 10)), np.float32(_outside(a, b, table, ground, 10, 5)))
            if c < 0.97:
                c = max(c, _search(a, b, table, ground), _search(b, a, table, ground))
        best = max(best, np.float32(c * hue))
    if best < least or max(energy_a, energy_b) < FLOOR * FLOOR:
        return best
    return np.float32(_believed(best, _luma(left, scale_a), b, DETAIL[0] if tiny else DETAIL[1]))
