"""Exact search by a full scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from curate.indexes.snapshots import faiss_common as _faiss

QUERIES_A_BLOCK = 32
ADD_ROWS = 65_536
ROUNDING = 2e-5
"""More than a float32 scan may be off; whatever comes so near the k-th best is scored again in float64."""


class Flat:
    """Every vector in one matrix, in the order of ids, kept in a FAISS file.

    The scan is one matrix product; the cosines of the best are summed again in float64, so that equal vectors have equal
    cosines and ties fall to the lower id, which FAISS's own search does not promise.
    """

    exact: ClassVar[bool] = True

    def __init__(self, index: Any) -> None:
        self._index = index
        self._ids: NDArray[np.int64] = faiss.vector_to_array(index.id_map)
        flat: Any = faiss.downcast_index(index.index)
        self._dimension: int = index.d
        size = index.ntotal * index.d
        self._vectors = (
            faiss.rev_swig_ptr(flat.get_xb(), size).reshape(-1, index.d) if size else np.empty((0, index.d), np.float32)
        )
        self.description = f"exact scan of {index.ntotal:,} vectors"

    @classmethod
    def build(cls, vectors: NDArray[np.float32], ids: NDArray[np.int64], *, threads: int = 0) -> Self:
        """Index unit vectors; see `curate.indexes.Index`."""
        _faiss.check_build(vectors, ids)
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        order = np.argsort(ids, kind="stable")
        with _faiss.faiss_threads(threads):
            for start in range(0, len(order), ADD_ROWS):
                rows = order[start : start + ADD_ROWS]
                index.add_with_ids(np.ascontiguousarray(vectors[rows]), np.ascontiguousarray(ids[rows], np.int64))
        return cls(index)

    def search(
        self, queries: NDArray[np.float32], k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k nearest by cosine; see `curate.indexes.Index`."""
        queries = _faiss.check_search(queries, self._dimension, k)
        rows = None if allowed is None else np.flatnonzero(np.isin(self._ids, allowed))
        vectors = self._vectors if rows is None else self._vectors[rows]
        hits = np.full((len(queries), k), -1, np.int64)
        cosines = np.zeros((len(queries), k), np.float32)
        for start in range(0, len(queries), QUERIES_A_BLOCK):
            block = queries[start : start + QUERIES_A_BLOCK]
            for at, scores in enumerate(block @ vectors.T, start):
                best, best_cosines = _top(scores, vectors, queries[at], k)
                hits[at, : len(best)] = self._ids[best if rows is None else rows[best]]
                cosines[at, : len(best)] = best_cosines
        return hits, cosines

    def save(self, path: Path) -> None:
        """Write one file; see `curate.indexes.Index`."""
        _faiss.write(self._index, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; see `curate.indexes.Index`."""
        return cls(_faiss.read(path))


def _top(
    scores: NDArray[np.float32], vectors: NDArray[np.float32], query: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k best rows of `vectors`, by float64 cosine rounded to float32, then by row, given rough `scores` (n,)."""
    if len(scores) > k:
        floor = np.partition(scores, len(scores) - k)[len(scores) - k] - ROUNDING
        near = np.flatnonzero(scores >= floor)
    else:
        near = np.arange(len(scores))
    exact = np.einsum("nd,d->n", vectors[near], query, dtype=np.float64).astype(np.float32)
    best = np.lexsort((near, -exact))[:k]
    return near[best], exact[best]


PLUGIN = Flat
