"""The partitioned pass for large sets: a row is compared with the kept rows of the cells nearest to it.

Cells are those of k-means over the shortened vectors. A kept row stands in its nearest cell, a row to be decided looks into its
`PROBES` nearest, and the rows of one `BLOCK_ROWS` are compared among themselves without cells. Pairs that are found are
verified like those of the exact pass; a pair whose rows lie too many cells apart is missed, and both rows are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from curate.dedupers import _semantic_kernels as kernels
from curate.dedupers._semantic_join import Pass

PROBES = 16
BLOCK_ROWS = 16_384
CHUNK_ROWS = 2_048
TRAIN_ROWS_A_CELL = 40
ROUNDS = 8
SEED = 20230303


def cells_for(total_rows: int) -> int:
    """How many cells keep both the assignment and the cells small: 2·√n."""
    return max(PROBES, round(2 * total_rows**0.5))


def train_cells(short: NDArray[np.float32], cells: int, workers: ThreadPoolExecutor) -> NDArray[np.float32]:
    """Lloyd's k-means over a seeded sample of (u, w) shortened vectors.

    Chunks have a fixed size and are summed in their order, so that the centres do not depend on the number of threads.

    Returns:
        (cells, w) float32 centres; a centre that lost all its rows stays where it was.
    """
    rng = np.random.default_rng(SEED)
    picked = np.sort(rng.permutation(len(short))[: min(len(short), cells * TRAIN_ROWS_A_CELL)])
    sample = np.ascontiguousarray(short[picked])
    centres = sample[np.sort(rng.permutation(len(sample))[:cells])].copy()
    for _ in range(ROUNDS):
        homes = nearest_cells(sample, centres, 1, workers)[:, 0]
        order = np.argsort(homes, kind="stable")
        present, starts = np.unique(homes[order], return_index=True)
        sums = np.add.reduceat(sample[order], starts, axis=0, dtype=np.float64)
        counts = np.diff(np.append(starts, len(order)))
        centres[present] = (sums / counts[:, None]).astype(np.float32)
    return centres


def nearest_cells(
    short: NDArray[np.float32], centres: NDArray[np.float32], probes: int, workers: ThreadPoolExecutor
) -> NDArray[np.int32]:
    """The `probes` nearest centres (all, if they are fewer) of each row, nearest first; (b, w) → (b, probes) int32."""
    probes = min(probes, len(centres))
    half_squares = np.einsum("cw,cw->c", centres, centres) / 2
    out = np.empty((len(short), probes), np.int32)

    def one(start: int) -> None:
        scores = short[start : start + CHUNK_ROWS] @ centres.T - half_squares
        if probes == 1:
            out[start : start + CHUNK_ROWS, 0] = scores.argmax(1)
            return
        near = np.argpartition(-scores, probes - 1, axis=1)[:, :probes]
        by_score = np.argsort(-np.take_along_axis(scores, near, 1), axis=1, kind="stable")
        out[start : start + CHUNK_ROWS] = np.take_along_axis(near, by_score, 1)

    list(workers.map(one, range(0, len(short), CHUNK_ROWS)))
    return out


class Cell:
    """The kept rows of one cell, in buffers that double."""

    def __init__(self, width: int) -> None:
        self.ranks = np.empty(8, np.int64)
        self.short = np.empty((8, width), np.float32)
        self.count = 0

    def extend(self, ranks: NDArray[np.int64], short: NDArray[np.float32]) -> None:
        """Add kept ranks (k,) with their shortened vectors (k, w)."""
        total = self.count + len(ranks)
        if total > len(self.ranks):
            room = max(total, 2 * len(self.ranks))
            self.ranks = np.concatenate([self.ranks[: self.count], np.empty(room - self.count, np.int64)])
            grown = np.empty((room, self.short.shape[1]), np.float32)
            grown[: self.count] = self.short[: self.count]
            self.short = grown
        self.ranks[self.count : total] = ranks
        self.short[self.count : total] = short
        self.count = total


def partitioned_sweep(work: Pass, settled: int, advance: Callable[[int], None]) -> int:
    """Decide every rank of `work` by way of cells; the first `settled` are kept as they are.

    Returns:
        how many cells there are.
    """
    centres = train_cells(work.short, cells_for(len(work.rows)), work.workers)
    cells = [Cell(work.short.shape[1]) for _ in centres]
    for start in range(0, len(work.rows), BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, len(work.rows))
        block = np.ascontiguousarray(work.short[start:stop])
        near = nearest_cells(block, centres, PROBES, work.workers)
        _compare_with_cells(work, start, stop, block, near, cells)
        work.sweep(start, stop, advance, settled=min(max(settled - start, 0), stop - start))
        fresh = np.flatnonzero(work.kept[start:stop])
        for cell, members in _by_cell(near[fresh, :1]):
            cells[cell].extend(start + fresh[members], block[fresh[members]])
    return len(centres)


def _compare_with_cells(
    work: Pass, start: int, stop: int, block: NDArray[np.float32], near: NDArray[np.int32], cells: list[Cell]
) -> None:
    """Compare ranks `start` to `stop` with the kept rows of the cells in `near` (b, probes)."""
    visits = [(cell, chosen) for cell, chosen in _by_cell(near) if cells[cell].count]
    visits.sort(key=lambda visit: -len(visit[1]) * cells[visit[0]].count)
    rows = work.rows[start:stop]

    def shard(number: int, best: NDArray[np.float32], best_rank: NDArray[np.int64]) -> int:
        compared = 0
        for cell, chosen in visits[number :: work.threads]:
            members = cells[cell]
            ranks = members.ranks[: members.count]
            for at in range(0, len(chosen), CHUNK_ROWS):
                part = chosen[at : at + CHUNK_ROWS]
                bounds = block[part] @ members.short[: members.count].T
                compared += kernels.scan(
                    bounds, work.vectors, part, rows, work.rows[ranks], ranks, work.threshold, best, best_rank
                )
        return compared

    if visits:
        work.in_shards(start, stop, shard)


def _by_cell(near: NDArray[np.int32]) -> list[tuple[int, NDArray[np.int64]]]:
    """Group the rows of (b, probes) cells by cell: pairs of a cell and its rows, ascending."""
    flat = near.ravel()
    order = np.argsort(flat, kind="stable")
    present, starts = np.unique(flat[order], return_index=True)
    groups = np.split(order // near.shape[1], starts[1:])
    return [(int(cell), np.ascontiguousarray(rows)) for cell, rows in zip(present, groups, strict=True)]
