"""Rows with equal keys, by sorting: near-linear however large a group is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def first_of_equal(high: NDArray[np.uint64], low: NDArray[np.uint64] | None = None) -> NDArray[np.int64]:
    """Point each position at the first position that holds the same key.

    Args:
        high: (m,) keys, or the leading halves of 128-bit keys.
        low: (m,) the trailing halves, or None.

    Returns:
        (m,) the least position with an equal key; a position's own number where it is the first.
    """
    if not len(high):
        return np.empty(0, np.int64)
    by_key = np.argsort(high)
    ordered = high[by_key]
    new = ordered[1:] != ordered[:-1]
    del ordered  # a hundred million rows are a gigabyte
    if low is not None and (~new & (low[by_key[1:]] != low[by_key[:-1]])).any():
        by_key = np.lexsort((low, high))  # leading halves collide: sort by both, which costs more
        new = (high[by_key[1:]] != high[by_key[:-1]]) | (low[by_key[1:]] != low[by_key[:-1]])
    starts = np.concatenate([[0], np.flatnonzero(new) + 1])
    lengths = np.diff(np.append(starts, len(high)))
    first = np.empty(len(high), np.int64)
    first[by_key] = np.repeat(np.minimum.reduceat(by_key, starts), lengths)
    return first
