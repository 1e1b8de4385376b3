"""Rows with equal keys: near-linear however large a group is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FEW = 16


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


def find_keys(known: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Find 128-bit keys among known ones; few among many cost a glance at each of the many.

    Args:
        known: (n, 2), all different.
        wanted: (k, 2).

    Returns:
        (k,) the row of `known` that holds each key, or -1.
    """
    places = np.full(len(wanted), -1, np.int64)
    near = np.arange(len(known))
    if len(wanted) * _FEW < len(known):
        sieve = np.zeros(1 << (64 * len(wanted)).bit_length(), np.bool_)  # one in 64 is set at most
        mask = np.uint64(len(sieve) - 1)
        sieve[wanted[:, 0] & mask] = True
        near = np.flatnonzero(sieve[known[:, 0] & mask])
    order = near[np.argsort(known[near, 0])]
    leading = known[order, 0]
    at, asking = np.searchsorted(leading, wanted[:, 0]), np.arange(len(wanted))
    while len(asking):  # more than once only where leading halves collide
        asking = asking[at[asking] < len(leading)]
        asking = asking[leading[at[asking]] == wanted[asking, 0]]
        hit = known[order[at[asking]], 1] == wanted[asking, 1]
        places[asking[hit]] = order[at[asking[hit]]]
        asking = asking[~hit]
        at[asking] += 1
    return places
