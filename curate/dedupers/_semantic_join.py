"""The greedy pass over vectors: each row is compared with the kept rows before it, and kept if none is similar enough.

The kept rows' shortened vectors are multiplied with a block of rows at a time; the tile of upper bounds is scanned by
compiled code, and only pairs that may reach the threshold are verified. Nothing here decides by a rounded product, so blocks
and threads move no mark.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from curate.dedupers import _semantic_kernels as kernels

BLOCK_ROWS = 1_024
TILE_COLUMNS = 1_024


@dataclass
class Pass:
    """A greedy pass over u distinct vectors, by their place ("rank") in the order of priority.

    Attributes:
        vectors: (n, d) float32, all of them.
        rows: (u,) int64, the row in `vectors` of each rank.
        short: (u, w) float32, their shortened vectors.
        threshold: lowest cosine that makes two rows duplicates.
        workers: runs `threads` shards at a time.
        best: (u,) float32, cosine to the most similar kept row before, -2 where none reaches the threshold.
        best_rank: (u,) int64, that row's rank; -1 where there is none.
        kept: (u,) bool.
        compared: pairs verified so far.
    """

    vectors: NDArray[np.float32]
    rows: NDArray[np.int64]
    short: NDArray[np.float32]
    threshold: float
    workers: ThreadPoolExecutor
    threads: int
    best: NDArray[np.float32] = field(init=False)
    best_rank: NDArray[np.int64] = field(init=False)
    kept: NDArray[np.bool_] = field(init=False)
    compared: int = 0

    def __post_init__(self) -> None:
        self.best = np.full(len(self.rows), -2, np.float32)
        self.best_rank = np.full(len(self.rows), -1, np.int64)
        self.kept = np.zeros(len(self.rows), bool)

    def in_shards(self, start: int, stop: int, shard: Callable[[int, NDArray[np.float32], NDArray[np.int64]], int]) -> None:
        """Run `shard(number, best, best_rank)` once a thread on copies of ranks `start` to `stop`, and merge what they found.

        The most similar keeper wins and the earliest among equals, so the way the work was dealt out does not show.
        """
        copies = [(self.best[start:stop].copy(), self.best_rank[start:stop].copy()) for _ in range(self.threads)]
        self.compared += sum(self.workers.map(lambda at: shard(at, *copies[at]), range(self.threads)))
        best, best_rank = self.best[start:stop], self.best_rank[start:stop]
        for found, found_rank in copies:
            wins = (found > best) | ((found == best) & (found_rank >= 0) & (found_rank < best_rank))
            best[wins], best_rank[wins] = found[wins], found_rank[wins]

    def compare(self, start: int, stop: int, keepers: NDArray[np.int64], short_keepers: NDArray[np.float32]) -> None:
        """Compare ranks `start` to `stop` with kept ranks `keepers` (k,), `short_keepers` (k, w) being their short vectors."""
        chosen = np.arange(stop - start)
        rows = self.rows[start:stop]
        block = np.ascontiguousarray(self.short[start:stop])

        def shard(number: int, best: NDArray[np.float32], best_rank: NDArray[np.int64]) -> int:
            tile = np.empty((stop - start) * TILE_COLUMNS, np.float32)
            compared = 0
            for at in range(number * TILE_COLUMNS, len(keepers), self.threads * TILE_COLUMNS):
                ranks = keepers[at : at + TILE_COLUMNS]
                bounds = tile[: len(block) * len(ranks)].reshape(len(block), len(ranks))
                np.matmul(block, short_keepers[at : at + TILE_COLUMNS].T, out=bounds)
                compared += kernels.scan(
                    bounds, self.vectors, chosen, rows, self.rows[ranks], ranks, self.threshold, best, best_rank
                )
            return compared

        if len(keepers):
            self.in_shards(start, stop, shard)

    def settle(self, start: int, stop: int) -> None:
        """Decide ranks `start` to `stop`, whose earlier keepers have all been compared."""
        block = np.ascontiguousarray(self.short[start:stop])
        self.compared += kernels.settle(
            block @ block.T,
            self.vectors,
            self.rows[start:stop],
            start,
            self.threshold,
            self.best[start:stop],
            self.best_rank[start:stop],
            self.kept[start:stop],
        )

    def sweep(self, start: int, stop: int, advance: Callable[[int], None], *, settled: int = 0) -> None:
        """Decide ranks `start` to `stop` among themselves; the first `settled` of them are kept as they are."""
        keepers = np.empty(stop - start, np.int64)
        short_keepers = np.empty((stop - start, self.short.shape[1]), np.float32)
        self.kept[start : start + settled] = True
        keepers[:settled] = np.arange(start, start + settled)
        short_keepers[:settled] = self.short[start : start + settled]
        count = settled
        for first in range(start + settled, stop, BLOCK_ROWS):
            last = min(first + BLOCK_ROWS, stop)
            self.compare(first, last, keepers[:count], short_keepers[:count])
            self.settle(first, last)
            fresh = first + np.flatnonzero(self.kept[first:last])
            keepers[count : count + len(fresh)] = fresh
            short_keepers[count : count + len(fresh)] = self.short[fresh]
            count += len(fresh)
            advance(last - first)
