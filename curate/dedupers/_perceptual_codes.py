"""64-bit codes of perceptual vectors, whole and cropped, and the scan that finds the pairs worth verifying."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from curate.dedupers._perceptual_measure import LUMA, WAVES, Tables, cropped

LOW = 8
"""A code holds the signs of the LOW × LOW lowest waves but the mean."""
CROPS = ((0, 0, 0, 0), (3, 3, 3, 3), (6, 6, 6, 6))
"""The insides of a picture, in per cent cut at each edge, whose codes are compared with the other picture's whole."""
REACH = 14
"""Largest Hamming distance of a pair that is verified."""


@njit(cache=True, nogil=True)
def _codes(vectors, crops, table, out):  # type: ignore[no-untyped-def]
    between, inside = np.empty((WAVES, WAVES), np.float32), np.empty((WAVES, WAVES), np.float32)
    for row in range(vectors.shape[0]):
        luma = vectors[row, :LUMA].copy().reshape(WAVES, WAVES)
        luma[0, 0] = 0
        for variant in range(crops.shape[0]):
            c = crops[variant]
            cropped(luma, c[0], c[1], c[2], c[3], table, between, inside)
            code = np.uint64(0)
            for i in range(LOW):
                for j in range(LOW):
                    code = (code << np.uint64(1)) | np.uint64(i + j > 0 and inside[i, j] > 0)
            out[row, variant] = code


def codes(vectors: NDArray[np.float32], table: Tables) -> NDArray[np.uint64]:
    """(n, len(CROPS)) codes of (n, WIDTH) vectors, the whole picture's first."""
    out = np.empty((len(vectors), len(CROPS)), np.uint64)
    _codes(np.ascontiguousarray(vectors), np.array(CROPS, np.int64), table, out)
    return out


@njit(cache=True, nogil=True)
def distance(a, b):  # type: ignore[no-untyped-def]
    """Hamming distance of two 64-bit codes."""
    x = a ^ b
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(cache=True, nogil=True)
def near(left, right, reach):  # type: ignore[no-untyped-def]
    """Whether the whole of one picture lies within `reach` of the whole or an inside of the other."""
    if distance(left[0], right[0]) <= reach:
        return True
    for variant in range(1, left.shape[0]):
        if distance(left[variant], right[0]) <= reach or distance(left[0], right[variant]) <= reach:
            return True
    return False
