"""Compiled loops of the semantic deduper: the true cosine, and the scan of a tile of upper bounds.

The true cosine of two vectors is one fixed sum in float64 (`true_cosine`), so it is the same bits whatever the blocks and
threads were. The float32 sums before it are fast and only decide, with a margin, whether the true one is worth taking.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

UNIT_TOLERANCE = 1e-4
"""How far from 1 a vector's length may be."""

MARGIN = np.float32(2.5e-4)
"""More than two lengths that are off by `UNIT_TOLERANCE`, and float32 rounding, can move a dot product away from the cosine."""

LANE = 64
"""Columns whose largest value is taken at once; LLVM turns it into vector instructions."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def true_cosine(left: Vectors, right: Vectors) -> np.float32:
    """Cosine of two float32 vectors, summed in float64 in an order that never changes; 0 where one is all zeros."""
    dot0 = dot1 = dot2 = dot3 = 0.0
    left0 = left1 = right0 = right1 = 0.0
    whole = len(left) // 4 * 4
    for at in range(0, whole, 4):
        a0, a1, a2, a3 = np.float64(left[at]), np.float64(left[at + 1]), np.float64(left[at + 2]), np.float64(left[at + 3])
        b0, b1, b2, b3 = np.float64(right[at]), np.float64(right[at + 1]), np.float64(right[at + 2]), np.float64(right[at + 3])
        dot0 += a0 * b0
        dot1 += a1 * b1
        dot2 += a2 * b2
        dot3 += a3 * b3
        left0 += a0 * a0 + a1 * a1
        left1 += a2 * a2 + a3 * a3
        right0 += b0 * b0 + b1 * b1
        right1 += b2 * b2 + b3 * b3
    for at in range(whole, len(left)):
        a0, b0 = np.float64(left[at]), np.float64(right[at])
        dot0 += a0 * b0
        left0 += a0 * a0
        right0 += b0 * b0
    lengths = np.sqrt((left0 + left1) * (right0 + right1))
    if lengths == 0.0:
        return np.float32(0.0)
    return np.float32(min(1.0, max(-1.0, ((dot0 + dot1) + (dot2 + dot3)) / lengths)))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def true_cosines(left: Vectors, right: Vectors) -> Vectors:
    """`true_cosine` of each pair of rows; (m, d), (m, d) → (m,) float32."""
    out = np.empty(len(left), np.float32)
    for row in range(len(left)):
        out[row] = true_cosine(left[row], right[row])
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def hash_rows(words: NDArray[np.uint32], rows: Rows, factors: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    """Two 64-bit sums of the words of each row, each word times a number of its own; factors (d, 2), out (k, 2)."""
    for at in range(len(rows)):
        row = rows[at]
        high, low = np.uint64(0), np.uint64(0)
        for column in range(words.shape[1]):
            word = np.uint64(words[row, column])
            high += word * factors[column, 0]
            low += word * factors[column, 1]
        out[at, 0], out[at, 1] = high, low


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _rough_dot(left: Vectors, right: Vectors) -> np.float32:
    total = np.float32(0.0)
    for at in range(len(left)):
        total += left[at] * right[at]
    return total


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _largest(lane: Vectors) -> np.float32:
    top = lane[0]
    for at in range(1, len(lane)):
        top = max(top, lane[at])
    found: np.float32 = top
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _better(
    vectors: Vectors, row: int, keeper: int, keeper_rank: int, threshold: float, best: Vectors, best_rank: Rows, at: int
) -> int:
    """Take `keeper` as the best of row `at` if it is similar enough, and more so than the best or as much and earlier."""
    rough = _rough_dot(vectors[row], vectors[keeper])
    if rough < threshold - MARGIN:
        return 0
    if rough >= best[at] - MARGIN:
        cosine = true_cosine(vectors[row], vectors[keeper])
        if np.float64(cosine) >= threshold and (cosine > best[at] or (cosine == best[at] and keeper_rank < best_rank[at])):
            best[at] = cosine
            best_rank[at] = keeper_rank
    return 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def scan(
    tile: Vectors,
    vectors: Vectors,
    chosen: Rows,
    rows: Rows,
    keepers: Rows,
    keeper_ranks: Rows,
    threshold: float,
    best: Vectors,
    best_rank: Rows,
) -> tuple[int, int]:
    """Go through a tile of upper bounds and verify the pairs that may reach the threshold.

    Args:
        tile: (c, k) float32, upper bounds of the cosines.
        vectors: (n, d) float32 unit vectors.
        chosen: (c,) int64, which of the block's rows the tile's rows are.
        rows: (b,) int64, the block's rows by their number in `vectors`.
        keepers: (k,) int64, the tile's columns by their number in `vectors`.
        keeper_ranks: (k,) int64, their places in the order of priority.
        best: (b,) float32, the highest cosine to a keeper so far, -2 for none; updated.
        best_rank: (b,) int64, that keeper's place, -1 for none; updated.

    Returns:
        how many pairs were verified, and how many were looked at to that end.
    """
    floor = np.float32(threshold - MARGIN)
    compared = looked = 0
    for line in range(tile.shape[0]):
        at = chosen[line]
        bounds = tile[line]
        for start in range(0, tile.shape[1], LANE):
            stop = min(start + LANE, tile.shape[1])
            if _largest(bounds[start:stop]) < floor:
                continue
            for column in range(start, stop):
                if bounds[column] >= floor:
                    looked += 1
                    compared += _better(
                        vectors, rows[at], keepers[column], keeper_ranks[column], threshold, best, best_rank, at
                    )
    return compared, looked


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def settle(
    tile: Vectors,
    vectors: Vectors,
    rows: Rows,
    first_rank: int,
    threshold: float,
    best: Vectors,
    best_rank: Rows,
    kept: NDArray[np.bool_],
) -> int:
    """Decide a block's rows in order: a row that no kept row stands for is kept, and may stand for those after it.

    Args:
        tile: (b, b) float32, upper bounds of the cosines among the block's rows.
        first_rank: the place of the block's first row in the order; the others follow it.
        kept: (b,) bool, filled.

    Returns:
        how many pairs were verified.
    """
    floor = np.float32(threshold - MARGIN)
    compared = 0
    for at in range(len(rows)):
        bounds = tile[at]
        for earlier in range(at):
            if bounds[earlier] >= floor and kept[earlier]:
                compared += _better(vectors, rows[at], rows[earlier], first_rank + earlier, threshold, best, best_rank, at)
        kept[at] = best_rank[at] < 0
    return compared
