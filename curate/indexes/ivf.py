"""Approximate search in the cells nearest to the query."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from curate.indexes.snapshots import faiss_common as _faiss

CELLS_A_ROOT = 4
"""Cells a √n: with it 100,000 vectors have 1,264 cells of about 80."""
TRAIN_ROWS_A_CELL = 40
TRAIN_ROUNDS = 5
ADD_ROWS = 65_536
RECALL_K = 10
RECALL_GOAL = 0.97
RECALL_QUERIES = 256
TIE_ROOM = 16
SEED = 1234


class Ivf:
    """FAISS IVF-Flat; the number of probed cells is chosen at build so that recall@10 on the set's own vectors is 0.97.

    Queries unlike the set, such as short questions to long pages, may find somewhat less. Cosines are true ones, not
    estimates. Where `allowed` is a small part of the set, or k is above 10, more cells are probed in proportion.
    """

    exact: ClassVar[bool] = False

    def __init__(self, index: Any) -> None:
        self._index = index
        self.description = f"IVF, {index.nlist:,} cells, {index.nprobe:,} probed"

    @classmethod
    def build(cls, vectors: NDArray[np.float32], ids: NDArray[np.int64], *, threads: int = 0) -> Self:
        """Index unit vectors; see `curate.indexes.Index`."""
        _faiss.check_build(vectors, ids)
        total, dimension = vectors.shape
        cells = max(1, min(round(CELLS_A_ROOT * total**0.5), total // 4))
        quantizer = faiss.IndexFlatIP(dimension)
        index: Any = faiss.IndexIVFFlat(quantizer, dimension, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.niter, index.cp.seed = TRAIN_ROUNDS, SEED
        index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, TRAIN_ROWS_A_CELL
        rng = np.random.default_rng(SEED)
        order = np.argsort(ids, kind="stable")
        with _faiss.faiss_threads(threads):
            if total:
                sample = order[np.sort(rng.permutation(total)[: cells * TRAIN_ROWS_A_CELL])]
                index.train(np.ascontiguousarray(vectors[sample]))
            for start in range(0, total, ADD_ROWS):
                rows = order[start : start + ADD_ROWS]
                index.add_with_ids(np.ascontiguousarray(vectors[rows]), np.ascontiguousarray(ids[rows], np.int64))
            index.nprobe = _choose_probes(index, vectors[np.sort(rng.permutation(total)[:RECALL_QUERIES])])
        return cls(index)

    def search(
        self, queries: NDArray[np.float32], k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find about the k nearest by cosine; see `curate.indexes.Index`."""
        queries = _faiss.check_search(queries, self._index.d, k)
        hits = np.full((len(queries), k), -1, np.int64)
        cosines = np.zeros((len(queries), k), np.float32)
        total = self._index.ntotal
        if allowed is not None:
            allowed = np.unique(np.asarray(allowed, np.int64))
            total = min(total, len(allowed))
        if not total or not len(queries):
            return hits, cosines
        with _faiss.faiss_threads(0):
            share = total / self._index.ntotal
            probes = min(self._index.nlist, round(self._index.nprobe / share * max(1, k / RECALL_K)))
            ids, scores = self._probe(queries, k, probes, allowed)
            short = np.flatnonzero((ids >= 0).sum(1) < min(k, total))
            if len(short):
                ids[short], scores[short] = self._probe(queries[short], k, self._index.nlist, allowed)
        present = ids >= 0
        hits[present], cosines[present] = ids[present], scores[present]
        return hits, cosines

    def _probe(
        self, queries: NDArray[np.float32], k: int, probes: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Search `probes` cells for a few more than k, and cut ties at the lower id."""
        selector = None if allowed is None else faiss.IDSelectorBatch(allowed)
        parameters = _parameters(nprobe=probes, sel=selector)
        scores, ids = self._index.search(queries, k + TIE_ROOM, params=parameters)
        scores = np.where(ids >= 0, scores, -np.inf)
        order = np.lexsort((ids, -scores), axis=1)[:, :k]
        return np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1)

    def save(self, path: Path) -> None:
        """Write one file; see `curate.indexes.Index`."""
        _faiss.write(self._index, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; see `curate.indexes.Index`."""
        return cls(_faiss.read(path))


def _parameters(**settings: Any) -> Any:
    return faiss.SearchParametersIVF(**settings)


def _choose_probes(index: Any, queries: NDArray[np.float32]) -> int:
    """The fewest probed cells, by doubling, that find `RECALL_GOAL` of the ten nearest of `queries`, themselves not counted."""
    if not len(queries):
        return 1
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
