"""Exact search by a full scan."""

from __future__ import annotations

from typing import ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from curate.indexes import Capabilities
from curate.indexes.faiss_files.arrays import Hits, scan
from curate.indexes.faiss_files.base import FaissIndex, flat_vectors, merged

ADD_ROWS = 65_536


class Flat(FaissIndex):
    """Every vector in one matrix, kept in a FAISS file; adding to it copies the matrix."""

    capabilities: ClassVar[Capabilities] = Capabilities(exact=True, persistent=True, filters=True)

    @property
    def description(self) -> str:
        """One line for a person."""
        return f"exact scan of {self.count():,} vectors"

    def ids(self) -> NDArray[np.int64]:
        """The ids of all entries."""
        if self._native is None:
            return np.empty(0, np.int64)
        found: NDArray[np.int64] = faiss.vector_to_array(self._native.id_map)
        return found

    def _build(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._native = faiss.IndexIDMap2(faiss.IndexFlatIP(self._dimension))
        for start in range(0, len(ids), ADD_ROWS):
            rows = slice(start, start + ADD_ROWS)
            self._native.add_with_ids(np.ascontiguousarray(vectors[rows]), np.ascontiguousarray(ids[rows]))

    def _add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._build(*merged(self.ids(), flat_vectors(self._native.index), ids, vectors))

    def _remove(self, ids: NDArray[np.int64]) -> None:
        self._native.remove_ids(faiss.IDSelectorBatch(ids))

    def _search(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None) -> Hits:
        ids = self.ids()
        rows = None if allowed is None else np.flatnonzero(np.isin(ids, allowed))
        return scan(flat_vectors(self._native.index), ids, queries, k, rows)


PLUGIN = Flat
