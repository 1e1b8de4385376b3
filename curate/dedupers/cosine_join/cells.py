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

from curate.dedupers.cosine_join.join import Pass
from curate.spill.scratch import Scratch

PROBES = 16
BLOCK_ROWS = 16_384
CHUNK_ROWS = 512
PAGE_ROWS = 64
TRAIN_ROWS_A_CELL = 40
ROUNDS = 8
SEED = 20230303


def cells_for(total_rows: int) -> int:
    """How many cells keep both the assignment and the cells small: 2·√n."""
    found: int = max(PROBES, round(2 * total_rows**0.5))
    return found


def train_cells(work: Pass, cells: int) -> NDArray[np.float32]:
    """Lloyd's k-means over a seeded sample of the shortened vectors.

    Chunks have a fixed size and are summed in their order, so that the centres do not depend on the number of threads.

    Returns:
        (cells, w) float32 centres; a centre that lost all its rows stays where it was.
    """
    rng = np.random.default_rng(SEED)
    total = len(work.rows)
    sample = work.shorten(np.sort(rng.permutation(total)[: min(total, cells * TRAIN_ROWS_A_CELL)]))
    centres = sample[np.sort(rng.permutation(len(sample))[:cells])].copy()
    for _ in range(ROUNDS):
        homes = nearest_cells(sample, centres, 1, work.workers)[:, 0]
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
        distances = half_squares - short[start : start + CHUNK_ROWS] @ centres.T
        if probes == 1:
            out[start : start + CHUNK_ROWS, 0] = distances.argmin(1)
            return
        near = np.argpartition(distances, probes - 1, axis=1)[:, :probes]
        by_distance = np.argsort(np.take_along_axis(distances, near, 1), axis=1, kind="stable")
        out[start : start + CHUNK_ROWS] = np.take_along_axis(near, by_distance, 1)

    list(workers.map(one, range(0, len(short), CHUNK_ROWS)))
    return out


class Cells:
    """The kept rows of every cell, on pages of `PAGE_ROWS` that are handed out as cells grow.

    Args:
        rows: at most so many rows will be added in all.
    """

    def __init__(self, cells: int, rows: int, width: int, scratch: Scratch) -> None:
        pages = rows // PAGE_ROWS + cells  # one page a cell is not full
        self.short = scratch.array((pages, PAGE_ROWS, width), np.float32)
        self.ranks = scratch.array((pages, PAGE_ROWS), np.int64)
        self._pages: list[list[int]] = [[] for _ in range(cells)]
        self._used = 0
        self.counts = np.zeros(cells, np.int64)

    def extend(self, cell: int, ranks: NDArray[np.int64], short: NDArray[np.float32]) -> None:
        """Add kept ranks (k,) with their shortened vectors (k, w)."""
        taken = 0
        while taken < len(ranks):
            place = int(self.counts[cell] % PAGE_ROWS)
            if place == 0:
                self._pages[cell].append(self._used)
                self._used += 1
            page = self._pages[cell][-1]
            more = min(PAGE_ROWS - place, len(ranks) - taken)
            self.ranks[page, place : place + more] = ranks[taken : taken + more]
            self.short[page, place : place + more] = short[taken : taken + more]
            self.counts[cell] += more
            taken += more

    def members(self, cell: int, first: int, most: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Copies of the ranks (k,) and short vectors (k, w) of up to `most` rows of a cell; `first` begins a page."""
        pages = self._pages[cell][first // PAGE_ROWS : (first + most) // PAGE_ROWS]
        count = min(most, int(self.counts[cell]) - first)
        return self.ranks[pages].reshape(-1)[:count], self.short[pages].reshape(-1, self.short.shape[2])[:count]


def partitioned_sweep(work: Pass, settled: int, advance: Callable[[int], None]) -> int:
    """Decide every rank of `work` by way of cells; the first `settled` are kept as they are.

    Returns:
        how many cells there are.
    """
    total = len(work.rows)
    centres = train_cells(work, cells_for(total))
    cells = Cells(len(centres), total, work.rotation.width, work.scratch)
    for start in [*range(0, settled, BLOCK_ROWS), *range(settled, total, BLOCK_ROWS)]:
        stop = min(start + BLOCK_ROWS, settled if start < settled else total)
        short = work.shorten(np.arange(start, stop))
        near = nearest_cells(short, centres, 1 if start < settled else PROBES, work.workers)
        if start < settled:
            work.kept[start:stop] = True
            fresh, fresh_short = np.arange(stop - start), short
        else:
            _compare_with_cells(work, start, short, near, cells)
            work.sweep(start, stop, advance, short=short)
            fresh = np.flatnonzero(work.kept[start:stop])
            fresh_short = short[: len(fresh)]
        for cell, members in _by_cell(near[fresh, :1]):
            cells.extend(cell, start + fresh[members], fresh_short[members])
    return len(centres)


def _compare_with_cells(work: Pass, start: int, block: NDArray[np.float32], near: NDArray[np.int32], cells: Cells) -> None:
    """Compare the ranks from `start` on, of shortened vectors `block` (b, w), with the kept rows of the cells in `near`."""
    visits = [(cell, chosen) for cell, chosen in _by_cell(near) if cells.counts[cell]]
    visits.sort(key=lambda visit: -len(visit[1]) * int(cells.counts[visit[0]]))
    rows = work.rows[start : start + len(block)]

    def shard(number: int, best: NDArray[np.float32], best_rank: NDArray[np.int64]) -> int:
        compared = 0
        for cell, chosen in visits[number :: work.threads]:
            for first in range(0, int(cells.counts[cell]), 2 * CHUNK_ROWS):
                ranks, short = cells.members(cell, first, 2 * CHUNK_ROWS)
                work.residency.ease(len(ranks) // PAGE_ROWS + 1)
                for at in range(0, len(chosen), CHUNK_ROWS):
                    part = chosen[at : at + CHUNK_ROWS]
                    compared += work.scan(block[part] @ short.T, part, rows, ranks, start, best, best_rank)
        return compared

    if visits:
        work.in_shards(start, start + len(block), shard)


def _by_cell(near: NDArray[np.int32]) -> list[tuple[int, NDArray[np.int64]]]:
    """Group the rows of (b, probes) cells by cell: pairs of a cell and its rows, ascending."""
    if not near.size:
        return []
    flat = near.ravel()
    order = np.argsort(flat, kind="stable")
    present, starts = np.unique(flat[order], return_index=True)
    groups = np.split(order // near.shape[1], starts[1:])
    return [(int(cell), np.ascontiguousarray(rows)) for cell, rows in zip(present, groups, strict=True)]
