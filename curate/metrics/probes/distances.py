"""Exact Euclidean neighbours, block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1024


def distances(left: NDArray[np.floating], right: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, m) Euclidean distances between (n, d) and (m, d) rows.

    In double precision and about a common centre, so that a copy is at zero up to about 1e-7 of the rows' norm.
    """
    centre = right.mean(axis=0, dtype=np.float64)
    a, b = left.astype(np.float64) - centre, right.astype(np.float64) - centre
    squared = np.add.outer(np.einsum("nd,nd->n", a, a), np.einsum("md,md->m", b, b)) - 2.0 * (a @ b.T)
    found: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0.0))
    return found


def nearest(
    queries: NDArray[np.floating], rows: NDArray[np.floating], k: int, *, same: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The k nearest rows of each query.

    Args:
        queries: (n, d).
        rows: (m, d) with m at least k, or k + 1 where `same`.
        same: queries and rows are one set, and no row is its own neighbour.

    Returns:
        (n, k) distances, rising, and (n, k) row numbers.
    """
    found = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), _BLOCK):
        block = distances(queries[start : start + _BLOCK], rows)
        if same:
            block[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        chosen = np.argpartition(block, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(block, chosen, axis=1)
        order = np.lexsort((chosen, values), axis=1)
        found[0][start : start + _BLOCK] = np.take_along_axis(values, order, axis=1)
        found[1][start : start + _BLOCK] = np.take_along_axis(chosen, order, axis=1)
    return found
