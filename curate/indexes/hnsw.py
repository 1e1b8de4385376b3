"""Approximate search along a graph of neighbours: the quickest answer to a single query over many vectors.

FAISS's graph cannot lose a node. What is removed or replaced stays in it as a dead node, id -1, over which a search may walk
but which it never answers; when a quarter of the nodes are dead the graph is built anew from the vectors that it holds.
"""

from __future__ import annotations

from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from curate.indexes import Capabilities
from curate.indexes.faiss_files.arrays import Hits, best_first, scan
from curate.indexes.faiss_files.base import FaissIndex, flat_vectors

DEAD = -1
DEAD_SHARE = 0.25
SCAN_UP_TO = 2_000
"""So few candidates are compared one by one, which costs no more than a walk."""
SCAN_SHARE = 0.05
"""A walk that may answer a smaller part of the nodes than this finds too few of them."""
TIE_ROOM = 16
ADD_ROWS = 65_536


class Hnsw(FaissIndex):
    """FAISS HNSW over the plain vectors; cosines are true ones. Where a walk finds fewer than k, the row is scanned."""

    capabilities: ClassVar[Capabilities] = Capabilities(exact=False, persistent=True, filters=True)
    options: ClassVar[dict[str, tuple[int, int, int]]] = {
        "links": (32, 4, 128),
        "ef_construction": (80, 8, 2_000),
        "ef_search": (128, 1, 100_000),
    }

    @property
    def description(self) -> str:
        """One line for a person."""
        chosen = self._chosen
        return f"HNSW of {self.count():,} vectors, {chosen['links']} links, {chosen['ef_search']} candidates"

    def ids(self) -> NDArray[np.int64]:
        """The ids of all entries."""
        nodes = self._nodes()
        found: NDArray[np.int64] = nodes[nodes != DEAD]
        return found

    def _nodes(self) -> NDArray[np.int64]:
        """The id of every node of the graph, in its order."""
        if self._native is None:
            return np.empty(0, np.int64)
        found: NDArray[np.int64] = faiss.vector_to_array(self._native.id_map)
        return found

    def _build(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        graph: Any = faiss.IndexHNSWFlat(self._dimension, self._chosen["links"], faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = self._chosen["ef_construction"]
        self._native = faiss.IndexIDMap(graph)
        self._append(ids, vectors)

    def _append(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        for start in range(0, len(ids), ADD_ROWS):
            rows = slice(start, start + ADD_ROWS)
            self._native.add_with_ids(np.ascontiguousarray(vectors[rows]), np.ascontiguousarray(ids[rows]))

    def _add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._bury(ids)
        self._append(ids, vectors)
        self._renew()

    def _remove(self, ids: NDArray[np.int64]) -> None:
        self._bury(ids)
        self._renew()

    def _bury(self, ids: NDArray[np.int64]) -> None:
        nodes = self._nodes()
        nodes[np.isin(nodes, ids)] = DEAD
        faiss.copy_array_to_vector(nodes, self._native.id_map)

    def _renew(self) -> None:
        """Build the graph anew where too much of it is dead."""
        nodes = self._nodes()
        alive = np.flatnonzero(nodes != DEAD)
        if len(alive) < (1 - DEAD_SHARE) * len(nodes):
            self._build(nodes[alive], flat_vectors(self._graph().storage)[alive])

    def _graph(self) -> Any:
        return faiss.downcast_index(self._native.index)

    def _search(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None) -> Hits:
        nodes = self._nodes()
        may = nodes != DEAD if allowed is None else np.isin(nodes, allowed)
        rows = np.flatnonzero(may)
        vectors = flat_vectors(self._graph().storage)
        if len(rows) <= SCAN_UP_TO or len(rows) < SCAN_SHARE * len(nodes):
            return scan(vectors, nodes, queries, k, rows)
        hits, cosines = self._walk(queries, k, may, nodes)
        short = np.flatnonzero((hits >= 0).sum(1) < min(k, len(rows)))
        if len(short):
            hits[short], cosines[short] = scan(vectors, nodes, queries[short], k, rows)
        return hits, cosines

    def _walk(self, queries: NDArray[np.float32], k: int, may: NDArray[np.bool_], nodes: NDArray[np.int64]) -> Hits:
        """Walk the graph for a few more than k, with more candidates where fewer nodes may be answered."""
        share = may.mean()
        selector = None if share == 1 else _selector(may)
        width = round(max(self._chosen["ef_search"], 2 * (k + TIE_ROOM)) / share)
        parameters = _parameters(efSearch=min(width, len(nodes)), sel=selector)
        scores, at = self._graph().search(queries, k + TIE_ROOM, params=parameters)
        return best_first(np.where(at >= 0, nodes[at], -1), scores, k)


def _selector(may: NDArray[np.bool_]) -> Any:
    native: Any = faiss  # whose stubs know neither this form nor the parameters below
    return native.IDSelectorBitmap(np.packbits(may, bitorder="little"))


def _parameters(**settings: Any) -> Any:
    native: Any = faiss
    return native.SearchParametersHNSW(**settings)


PLUGIN = Hnsw
