"""What the indexes over FAISS share: its thread count, its files, and the order of hits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from curate.errors import SettingError, WorkError

BLAS_FROM_QUERIES = 20
"""From so many queries FAISS uses matrix products; its own default made batches of 30 to 300 queries ten times slower."""


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


def check_build(vectors: NDArray[np.float32], ids: NDArray[np.int64]) -> None:
    """Refuse arrays that are not one float32 vector and one distinct id a row.

    Raises:
        SettingError: they are not.
    """
    if vectors.ndim != 2 or vectors.dtype != np.float32 or vectors.shape[1] == 0:
        raise SettingError(f"an index needs a matrix of float32 vectors, got {vectors.dtype} of shape {vectors.shape}")
    if ids.shape != (len(vectors),) or len(np.unique(ids)) != len(ids):
        raise SettingError(f"an index needs one distinct id for each of its {len(vectors)} vectors, got {len(ids)} ids")


def check_search(queries: NDArray[np.float32], dimension: int, k: int) -> NDArray[np.float32]:
    """The queries as plain float32 rows of the right width.

    Raises:
        SettingError: their width is not the index's, or k is below 1.
    """
    if k < 1:
        raise SettingError(f"k must be 1 or more, got {k}")
    plain = np.ascontiguousarray(queries, np.float32)
    if plain.ndim != 2 or plain.shape[1] != dimension:
        raise SettingError(f"queries must be (q, {dimension}), got {plain.shape}", hint="embed them with the index's embedder")
    return plain


def write(index: Any, path: Path) -> None:
    """Write a FAISS index to one file.

    Raises:
        WorkError: the file cannot be written.
    """
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise WorkError(f"the index cannot be written to {path}: {error}", hint="is the disk full?") from error


def read(path: Path) -> Any:
    """Read a FAISS index; what is not one raises RuntimeError, but damage inside may go unnoticed, so check the hash first."""
    return faiss.read_index(str(path))
