"""64-bit codes of perceptual vectors, whole, cropped and halved, and an exact index over their Hamming distance.

A crop of up to 6 % at each edge turns few bits of the code that the other picture has after the same crop, roughly; a watermark
turns many bits of the whole, but hardly any of the half that it does not touch. The index is multi-index hashing
(Norouzi, Punjani, Fleet 2012): two codes of 64 bits at most 4r + 3 apart differ by at most r in one of four 16-bit blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from curate.dedupers._perceptual_measure import LUMA, WAVES, Tables, grey_scale, side_crop

LOW = 8
"""A code holds the signs of the LOW × LOW lowest waves but the mean."""
FAINT = 0.05
"""A wave weaker than this, in grey levels, sets no bit, so that all plain pictures share a code and are compared."""
VIEWS = (
    (0, 0, 0, 0),
    (0, 0, 0, 0.5),
    (0, 0, 0.5, 0),
    (0.03, 0.03, 0.03, 0.03),
    (0.06, 0.06, 0.06, 0.06),
    (0.05, 0.01, 0.03, 0.03),
    (0.01, 0.05, 0.03, 0.03),
    (0.03, 0.03, 0.05, 0.01),
    (0.03, 0.03, 0.01, 0.05),
)
"""What is coded of each picture: the share cut at the left, right, top and bottom."""
JOINS = ((0, 0, 2), (1, 1, 1), (2, 2, 1), *((view, 0, 2) for view in range(3, 9)), *((0, view, 2) for view in range(3, 9)))
"""(view of the new picture, of the kept one, bits that one block may differ by): a pair within reach in any is verified."""
UNCROPPED = 3
"""The joins that lead compare whole pictures and halves; a tiny picture needs no other, for its crops are never verified."""


def reach(bits: int) -> int:
    """The Hamming distance up to which every pair agrees in one of four blocks up to so many bits."""
    return 4 * bits + 3


@cache
def masks() -> NDArray[np.uint16]:
    """(137,) the 16-bit masks with at most two bits set, the 17 with at most one leading."""
    return np.array([sum(1 << b for b in bits) for count in range(3) for bits in combinations(range(16), count)], np.uint16)


@njit(cache=True, nogil=True)
def _codes(vectors, across, down, unweight, out):  # type: ignore[no-untyped-def]
    between = np.empty((LOW, WAVES), np.float32)
    for row in range(vectors.shape[0]):
        luma = vectors[row, :LUMA].copy().reshape(WAVES, WAVES) * unweight * np.float32(grey_scale(vectors[row]))
        for view in range(across.shape[0]):
            between[:] = 0
            for i in range(LOW):
                for k in range(WAVES):
                    for j in range(WAVES):
                        between[i, j] += down[view, i, k] * luma[k, j]
            code = np.uint64(0)
            for i in range(LOW):
                for j in range(LOW):
                    value = np.float32(0)
                    for k in range(WAVES):
                        value += across[view, j, k] * between[i, k]
                    code = (code << np.uint64(1)) | np.uint64(i + j > 0 and value > FAINT)
            out[row, view] = code


def codes(vectors: NDArray[np.float32], table: Tables) -> NDArray[np.uint64]:
    """(n, len(VIEWS)) codes of (n, WIDTH) vectors."""
    out = np.empty((len(vectors), len(VIEWS)), np.uint64)
    across = np.stack([side_crop(left, right)[:LOW] for left, right, _, _ in VIEWS])
    down = np.stack([side_crop(top, bottom)[:LOW] for _, _, top, bottom in VIEWS])
    _codes(np.ascontiguousarray(vectors), across, down, table.unweight, out)
    return out


@njit(cache=True, nogil=True)
def distance(a, b):  # type: ignore[no-untyped-def]
    """Hamming distance of two 64-bit codes."""
    x = a ^ b
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True, nogil=True)
def near(new, kept, joins):  # type: ignore[no-untyped-def]
    """Whether the codes (views,) of two pictures lie within reach in any of the joins."""
    for number in range(joins.shape[0]):
        if distance(new[joins[number, 0]], kept[joins[number, 1]]) <= 4 * joins[number, 2] + 3:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Index:
    """Kept pictures by the four blocks of each view's code: the rows of block value v are rows[starts[v]:starts[v + 1]]."""

    starts: NDArray[np.int64]
    """(views, 4, 65537)"""
    rows: NDArray[np.int32]
    """(views, 4, n), ascending within a block value."""


@njit(cache=True, nogil=True)
def _fill(own, held, starts, rows):  # type: ignore[no-untyped-def]
    for view in range(starts.shape[0]):
        for block in range(4):
            shift = np.uint64(16 * block)
            start = starts[view, block]
            start[:] = 0
            for position in held:
                start[np.int64((own[position, view] >> shift) & np.uint64(0xFFFF)) + 1] += 1
            for value in range(65536):
                start[value + 1] += start[value]
            next_free = start[:-1].copy()
            for position in held:
                slot = np.int64((own[position, view] >> shift) & np.uint64(0xFFFF))
                rows[view, block, next_free[slot]] = position
                next_free[slot] += 1


def index(own: NDArray[np.uint64], held: NDArray[np.int64]) -> Index:
    """Index the codes `own` (m, views) of the ascending positions `held`."""
    views = own.shape[1]
    built = Index(np.empty((views, 4, 65537), np.int64), np.empty((views, 4, len(held)), np.int32))
    _fill(own, held, built.starts, built.rows)
    return built


@njit(cache=True, nogil=True)
def candidates(new, own, joins, flips, starts, rows, seen, stamp, found):  # type: ignore[no-untyped-def]
    """Write each indexed position within reach of the codes `new` to `found`, unless `seen` holds `stamp` there; how many."""
    count = 0
    for number in range(joins.shape[0]):
        query, view = new[joins[number, 0]], joins[number, 1]
        bits = joins[number, 2]
        mask_count = 17 if bits == 1 else 137
        for block in range(4):
            value = (query >> np.uint64(16 * block)) & np.uint64(0xFFFF)
            for m in range(mask_count):
                at = np.int64(value ^ np.uint64(flips[m]))
                for place in range(starts[view, block, at], starts[view, block, at + 1]):
                    position = rows[view, block, place]
                    if seen[position] != stamp and distance(query, own[position, view]) <= 4 * bits + 3:
                        seen[position] = stamp
                        found[count] = position
                        count += 1
    return count
