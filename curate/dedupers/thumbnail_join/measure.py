"""How alike two perceptual vectors are, after the crop, watermark or mirror that may lie between them is undone.

Everything here is a function of the two vectors alone. numba kernels.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from curate.dedupers.thumbnail_join.alignment import correlation, outside, search
from curate.dedupers.thumbnail_join.detail import detail_decides, details_differ
from curate.dedupers.thumbnail_join.waves import CHROMA, FLOOR, LUMA, RESOLUTION, WAVES, grey_scale, is_tiny, luma_of

SAME_GREY = 12.0
"""Two plain pictures whose mean colours differ by so many levels are alike by a factor of 1/e."""
COLOURED = 5.0
"""A picture whose chroma is weaker than this, in levels, says nothing about colour."""
HUES = (0.6, 0.8)
"""Two coloured pictures whose chroma correlates less than the first are different, more than the second the same."""
OTHER_DETAIL = 0.5
"""The most that pictures have in common whose detail differs."""
DETAIL = (200.0, 60.0)
"""Waves that must carry the contrast before a correlation is believed in full: of two tiny pictures, and of others."""


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
def _alike(left, right, posed, table, least):  # type: ignore[no-untyped-def]
    """The measure of two pictures whose detail does not count."""
    scale_a, scale_b = grey_scale(left), grey_scale(right)
    chroma_a, chroma_b = left[LUMA + 1 : RESOLUTION] * scale_a, right[LUMA + 1 : RESOLUTION] * scale_b
    grey_a, grey_b = np.arctan2(abs(left[LUMA]), left[0]), np.arctan2(abs(right[LUMA]), right[0])
    apart = ((grey_a - grey_b) * 255 / np.pi) ** 2
    apart += (chroma_a[0] - chroma_b[0]) ** 2 + (chroma_a[CHROMA] - chroma_b[CHROMA]) ** 2
    ground = np.float32(np.exp(-apart / SAME_GREY**2))
    tiny = is_tiny(left, scale_a) and is_tiny(right, scale_b)
    if tiny and posed.shape[0] == 1:
        c = _quick(left, right, scale_a, scale_b, ground)
        if c < least:
            return c
    b = luma_of(right, scale_b)
    energy_b = (b * b).sum()
    best, energy_a = np.float32(-1), np.float32(0)
    for p in range(posed.shape[0]):
        a = luma_of(posed[p], scale_a)
        energy_a = (a * a).sum()
        hue = _hue(posed[p, LUMA + 1 : RESOLUTION] * scale_a, chroma_b)
        if hue < least:
            continue
        c = correlation(a, b, ground, WAVES, WAVES)
        if not tiny and min(energy_a, energy_b) > FLOOR * FLOOR:
            if c > 0.4:
                c = max(c, np.float32(outside(a, b, table, ground, 5, 10)), np.float32(outside(a, b, table, ground, 10, 5)))
            if c < 0.97:
                c = max(c, search(a, b, table, ground), search(b, a, table, ground))
        best = max(best, np.float32(c * hue))
    if best < least or max(energy_a, energy_b) < FLOOR * FLOOR:
        return best
    return np.float32(_believed(best, luma_of(left, scale_a), b, DETAIL[0] if tiny else DETAIL[1]))


@njit(cache=True, nogil=True)
def measure(left, right, posed, table, least):  # type: ignore[no-untyped-def]
    """The verified measure of one pair; where it is under `least`, any value under `least`.

    posed: (p, WIDTH), `left` in the poses that count as the same, `left` itself the first.
    """
    if _same(left, right):
        return np.float32(1)
    scale_a, scale_b = grey_scale(left), grey_scale(right)
    if not detail_decides(left, right, scale_a, scale_b):
        return _alike(left, right, posed, table, least)
    alike = _alike(left, right, posed[:1], table, least)  # no text reads mirrored or turned
    if alike > OTHER_DETAIL and details_differ(left, right, scale_a, scale_b):
        return np.float32(OTHER_DETAIL)
    return alike
