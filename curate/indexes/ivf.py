"""Approximate search in the cells nearest to the query."""

from __future__ import annotations

from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from curate.indexes import Capabilities
from curate.indexes.faiss_files.arrays import Hits, best_first
from curate.indexes.faiss_files.base import FaissIndex, merged

CELLS_A_ROOT = 4
"""Cells a √n: with it 100,000 vectors have 1,264 cells of about 80."""
TRAIN_ROWS_A_CELL = 40
TRAIN_ROUNDS = 5
ADD_ROWS = 65_536
RECALL_K = 10
RECALL_GOAL = 0.97
RECALL_QUERIES = 256
FILTERED = 2
"""Times the cells that the share of the filter asks for: what it leaves of the near cells may lie farther out."""
TIE_ROOM = 16
OUTGROWN = 1.5
"""Cells wanted to cells there are, from which on a grown index is built anew."""
SEED = 1234


class Ivf(FaissIndex):
    """FAISS IVF-Flat; the number of probed cells is chosen at build so that recall@10 on the set's own vectors is 0.97.

    Queries unlike the set, such as short questions to long pages, may find somewhat less. Cosines are true ones, not
    estimates. Where `filter` is a small part of the set, or k is above 10, more cells are probed in proportion.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(exact=False, persistent=True, filters=True)

    @property
    def description(self) -> str:
        """One line for a person."""
        cells, probes = (self._native.nlist, self._native.nprobe) if self._native is not None else (0, 0)
        return f"IVF, {cells:,} cells, {probes:,} probed"

    def count(self) -> int:
        """How many entries there are."""
        return int(self._native.ntotal) if self._native is not None else 0

    def ids(self) -> NDArray[np.int64]:
        """The ids of all entries."""
        return self._contents()[0]

    def _contents(self, *, vectors: bool = False) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ids, cell by cell, and where asked for their vectors."""
        ids, rows = [np.empty(0, np.int64)], [np.empty((0, self._dimension), np.float32)]
        lists: Any = self._native.invlists if self._native is not None else None
        for cell in range(self._native.nlist if lists else 0):
            size = lists.list_size(cell)
            if not size:
                continue
            ids.append(faiss.rev_swig_ptr(lists.get_ids(cell), size).copy())
            if vectors:
                codes = faiss.rev_swig_ptr(lists.get_codes(cell), size * self._dimension * 4)
                rows.append(codes.copy().view(np.float32).reshape(size, self._dimension))
        return np.concatenate(ids), np.concatenate(rows)

    def _build(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        total = len(ids)
        cells = _cells(total)
        quantizer = faiss.IndexFlatIP(self._dimension)
        index: Any = faiss.IndexIVFFlat(quantizer, self._dimension, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.niter, index.cp.seed = TRAIN_ROUNDS, SEED
        index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, TRAIN_ROWS_A_CELL
        rng = np.random.default_rng(SEED)
        order = np.argsort(ids, kind="stable")
        sample = order[np.sort(rng.permutation(total)[: cells * TRAIN_ROWS_A_CELL])]
        index.train(np.ascontiguousarray(vectors[sample]))
        for start in range(0, total, ADD_ROWS):
            rows = order[start : start + ADD_ROWS]
            index.add_with_ids(np.ascontiguousarray(vectors[rows]), np.ascontiguousarray(ids[rows]))
        index.nprobe = _choose_probes(index, vectors[np.sort(rng.permutation(total)[:RECALL_QUERIES])])
        self._native = index

    def _add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        if _cells(self.count() + len(ids)) > OUTGROWN * self._native.nlist:
            self._build(*merged(*self._contents(vectors=True), ids, vectors))
            return
        self._native.remove_ids(faiss.IDSelectorBatch(ids))
        for start in range(0, len(ids), ADD_ROWS):
            rows = slice(start, start + ADD_ROWS)
            self._native.add_with_ids(np.ascontiguousarray(vectors[rows]), np.ascontiguousarray(ids[rows]))

    def _remove(self, ids: NDArray[np.int64]) -> None:
        self._native.remove_ids(faiss.IDSelectorBatch(ids))

    def _search(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None) -> Hits:
        total = self.count() if allowed is None else len(allowed)
        share = total / self.count() if allowed is None else total / self.count() / FILTERED
        probes = min(self._native.nlist, round(self._native.nprobe / share * max(1, k / RECALL_K)))
        hits, cosines = self._probe(queries, k, probes, allowed)
        short = np.flatnonzero((hits >= 0).sum(1) < min(k, total))
        if len(short):
            hits[short], cosines[short] = self._probe(queries[short], k, self._native.nlist, allowed)
        return hits, cosines

    def _probe(self, queries: NDArray[np.float32], k: int, probes: int, allowed: NDArray[np.int64] | None) -> Hits:
        """Search `probes` cells for a few more than k, and cut ties at the lower id."""
        selector = None if allowed is None else faiss.IDSelectorBatch(allowed)
        parameters = _parameters(nprobe=probes, sel=selector)
        scores, ids = self._native.search(queries, k + TIE_ROOM, params=parameters)
        return best_first(ids, scores, k)


def _cells(total: int) -> int:
    found: int = max(1, min(round(CELLS_A_ROOT * total**0.5), total // 4))
    return found


def _parameters(**settings: Any) -> Any:
    return faiss.SearchParametersIVF(**settings)


def _choose_probes(index: Any, queries: NDArray[np.float32]) -> int:
    """The fewest probed cells, by doubling, that find `RECALL_GOAL` of the ten nearest of `queries`, themselves not counted."""
    queries = np.ascontiguousarray(queries)
    k = min(RECALL_K + 1, index.ntotal)
    truth = index.search(queries, k, params=_parameters(nprobe=index.nlist))[0]
    probes = 1
    while probes < index.nlist:
        found = index.search(queries, k, params=_parameters(nprobe=probes))[0]
        if (found[:, 1:] >= truth[:, -1:] - 1e-6).mean() >= RECALL_GOAL:
            break
        probes *= 2
    return int(min(probes, index.nlist))


PLUGIN = Ivf
