"""The arrays that go into FAISS and come out of it: checked, scanned, and with ties in order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import faiss
import numpy as np
from numpy.typing import NDArray

from curate.errors import SettingError
from curate.indexes import Entries

BLAS_FROM_QUERIES = 20
"""From so many queries FAISS uses matrix products; its own default made batches of 30 to 300 queries ten times slower."""
QUERIES_A_BLOCK = 32
ROUNDING = 2e-5
"""More than a float32 scan may be off; whatever comes so near the k-th best is scored again in float64."""

Hits = tuple[NDArray[np.int64], NDArray[np.float32]]


@contextmanager
def faiss_threads(threads: int) -> Iterator[None]:
    """Let FAISS use `threads` threads (0: every core) in the block."""
    before, before_blas = faiss.omp_get_max_threads(), faiss.cvar.distance_compute_blas_threshold
    faiss.omp_set_num_threads(threads or os.cpu_count() or 1)
    faiss.cvar.distance_compute_blas_threshold = BLAS_FROM_QUERIES
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
        faiss.cvar.distance_compute_blas_threshold = before_blas


def check_entries(entries: Entries, dimension: int) -> NDArray[np.float32]:
    """The vectors of some entries, of which each has a distinct id.

    Raises:
        SettingError: they have no such vectors or ids.
    """
    vectors, ids = entries.vectors, entries.ids
    if vectors is None or vectors.ndim != 2 or vectors.dtype != np.float32 or vectors.shape[1] != dimension:
        shape = "none" if vectors is None else f"{vectors.dtype} of shape {vectors.shape}"
        raise SettingError(f"the index needs float32 vectors of {dimension} dimensions, got {shape}")
    if ids.shape != (len(vectors),) or len(np.unique(ids)) != len(ids) or (len(ids) and ids.min() < 0):
        raise SettingError(f"an index needs one distinct id for each of its {len(vectors)} vectors, got {len(ids)} ids")
    return vectors


def check_queries(queries: NDArray[np.float32] | Sequence[str], dimension: int, k: int) -> NDArray[np.float32]:
    """The queries as plain float32 rows of the right width.

    Raises:
        SettingError: their width is not the index's, or k is below 1.
    """
    if k < 1:
        raise SettingError(f"k must be 1 or more, got {k}")
    plain = np.ascontiguousarray(queries, np.float32) if isinstance(queries, np.ndarray) else np.empty(0, np.float32)
    if plain.ndim != 2 or plain.shape[1] != dimension:
        raise SettingError(f"queries must be (q, {dimension}), got {plain.shape}", hint="embed them with the index's embedder")
    return plain


def no_hits(queries: int, k: int) -> Hits:
    """Hits (queries, k) of which none was found yet."""
    return np.full((queries, k), -1, np.int64), np.zeros((queries, k), np.float32)


def best_first(ids: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> Hits:
    """The k best of each row, ties by the lower id, where FAISS gave (q, more) with -1 for none."""
    scores = np.where(ids >= 0, scores, -np.inf)
    order = np.lexsort((ids, -scores), axis=1)[:, :k]
    ids, scores = np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1)
    hits, cosines = no_hits(len(ids), k)
    width = ids.shape[1]
    present = ids >= 0
    hits[:, :width][present], cosines[:, :width][present] = ids[present], scores[present]
    return hits, cosines


def scan(
    vectors: NDArray[np.float32],
    ids: NDArray[np.int64],
    queries: NDArray[np.float32],
    k: int,
    rows: NDArray[np.int64] | None = None,
) -> Hits:
    """Compare every query with every vector.

    The rough scores are one matrix product; the cosines of the best are summed again in float64, so that equal vectors have
    equal cosines and ties fall to the lower id, which FAISS's own search does not promise.

    Args:
        vectors: (n, d).
        ids: (n,) what each is called.
        rows: only these of them; None for all.
    """
    if rows is not None:
        vectors, ids = vectors[rows], ids[rows]
    hits, cosines = no_hits(len(queries), k)
    for start in range(0, len(queries), QUERIES_A_BLOCK):
        block = queries[start : start + QUERIES_A_BLOCK]
        for at, scores in enumerate(block @ vectors.T, start):
            best, best_cosines = _top(scores, vectors, ids, queries[at], k)
            hits[at, : len(best)], cosines[at, : len(best)] = ids[best], best_cosines
    return hits, cosines


def _top(
    scores: NDArray[np.float32], vectors: NDArray[np.float32], ids: NDArray[np.int64], query: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k best rows of `vectors`, by float64 cosine rounded to float32, then by id, given rough `scores` (n,)."""
    if len(scores) > k:
        floor = np.partition(scores, len(scores) - k)[len(scores) - k] - ROUNDING
        near = np.flatnonzero(scores >= floor)
    else:
        near = np.arange(len(scores))
    exact = np.einsum("nd,d->n", vectors[near], query, dtype=np.float64).astype(np.float32)
    best = np.lexsort((ids[near], -exact))[:k]
    return near[best], exact[best]
