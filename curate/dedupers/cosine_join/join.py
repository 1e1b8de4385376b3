"""The greedy pass over vectors: each row is compared with the kept rows before it, and kept if none is similar enough.

The kept rows' shortened vectors are multiplied with a block of rows at a time; the tile of upper bounds is scanned by
compiled code, and only pairs that may reach the threshold are verified. Nothing here decides by a rounded product, so blocks
and threads move no mark. Rows are shortened when their turn comes, and only those that are kept are held on to.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from curate.dedupers.cosine_join import kernels as kernels
from curate.dedupers.cosine_join.prefix import Rotation
from curate.spill.residency import Residency
from curate.spill.scratch import Scratch

BLOCK_ROWS = 1_024
TILE_ROWS = 256
TILE_COLUMNS = 1_024
"""A tile of bounds is 1 MiB, so that the scan reads it from the second-level cache."""
SHORTEN_ROWS = 2_048


@dataclass
class Pass:
    """A greedy pass over u distinct vectors, by their place ("rank") in the order of priority.

    Attributes:
        vectors: (n, d) float32, all of them; may be a memory map.
        rows: (u,) int64, the row in `vectors` of each rank.
        rotation: how vectors are shortened.
        threshold: lowest cosine that makes two rows duplicates.
        workers: runs `threads` shards at a time.
        scratch: where the kept rows' shortened vectors lie.
        residency: told often that pages were read.
        best: (u,) float32, cosine to the most similar kept row before, -2 where none reaches the threshold.
        best_rank: (u,) int64, that row's rank; -1 where there is none.
        kept: (u,) bool.
        compared: pairs verified so far.
    """

    vectors: NDArray[np.float32]
    rows: NDArray[np.int64]
    rotation: Rotation
    threshold: float
    workers: ThreadPoolExecutor
    threads: int
    scratch: Scratch
    residency: Residency
    best: NDArray[np.float32] = field(init=False)
    best_rank: NDArray[np.int64] = field(init=False)
    kept: NDArray[np.bool_] = field(init=False)
    compared: int = 0

    def __post_init__(self) -> None:
        self.best = np.full(len(self.rows), -2, np.float32)
        self.best_rank = np.full(len(self.rows), -1, np.int64)
        self.kept = np.zeros(len(self.rows), bool)

    def shorten(self, ranks: NDArray[np.int64], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """The shortened vectors of some ranks; (k,) → (k, w), written to `out` where that is given."""
        short = np.empty((len(ranks), self.rotation.width), np.float32) if out is None else out

        step = self.residency.block(SHORTEN_ROWS)

        def one(at: int) -> None:
            part = ranks[at : at + step]
            self.rotation.shorten(self.vectors[self.rows[part]], short[at : at + len(part)])
            self.residency.ease()

        list(self.workers.map(one, range(0, len(ranks), step)))
        return short

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

    def compare(
        self, start: int, block: NDArray[np.float32], keepers: NDArray[np.int64], short_keepers: NDArray[np.float32]
    ) -> None:
        """Compare the ranks from `start` on with kept ranks `keepers` (k,).

        Args:
            block: (b, w) their shortened vectors.
            short_keepers: (k, w) those of the keepers.
        """
        rows = self.rows[start : start + len(block)]
        lines = np.arange(len(block))

        def shard(number: int, best: NDArray[np.float32], best_rank: NDArray[np.int64]) -> int:
            tile = np.empty(TILE_ROWS * TILE_COLUMNS, np.float32)
            compared = 0
            for at in range(number * TILE_COLUMNS, len(keepers), self.threads * TILE_COLUMNS):
                ranks = keepers[at : at + TILE_COLUMNS]
                columns = short_keepers[at : at + TILE_COLUMNS].T
                for top in range(0, len(block), TILE_ROWS):
                    chosen = lines[top : top + TILE_ROWS]
                    bounds = tile[: len(chosen) * len(ranks)].reshape(len(chosen), len(ranks))
                    np.matmul(block[top : top + TILE_ROWS], columns, out=bounds)
                    compared += self.scan(bounds, chosen, rows, ranks, start, best, best_rank)
            return compared

        if len(keepers):
            self.in_shards(start, start + len(block), shard)

    def scan(
        self,
        bounds: NDArray[np.float32],
        chosen: NDArray[np.int64],
        rows: NDArray[np.int64],
        ranks: NDArray[np.int64],
        start: int,
        best: NDArray[np.float32],
        best_rank: NDArray[np.int64],
    ) -> int:
        """Go through a tile of upper bounds, and take what is better into `best` and `best_rank` (b,).

        Args:
            bounds: (c, k) upper bounds of the cosines.
            chosen: (c,) which of the block's rows the tile's rows are.
            rows: (b,) the block's rows, of the ranks from `start` on.
            ranks: (k,) the kept ranks that are the tile's columns.

        Returns:
            how many pairs were verified.
        """
        verified, looked = kernels.scan(
            bounds, self.vectors, chosen, rows, self.rows[ranks], ranks, self.threshold, best, best_rank
        )
        self.residency.ease(min(2 * looked, len(chosen) + len(ranks)))
        found: int = verified
        return found

    def settle(self, start: int, block: NDArray[np.float32]) -> None:
        """Decide the ranks from `start` on, `block` (b, w) being their short vectors; earlier keepers have been compared."""
        stop = start + len(block)
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
        self.residency.ease(len(block))

    def sweep(
        self,
        start: int,
        stop: int,
        advance: Callable[[int], None],
        *,
        settled: int = 0,
        among: bool = True,
        short: NDArray[np.float32] | None = None,
    ) -> None:
        """Decide ranks `start` to `stop` among themselves; the first `settled` of them are kept as they are.

        Without `among`, the others are compared with those first ones alone.

        Args:
            short: (stop - start, w) their shortened vectors, where the caller has them; the kept ones are moved to its front.
        """
        keepers = np.empty(stop - start, np.int64)
        held = self.scratch.array((stop - start, self.rotation.width), np.float32) if short is None else short
        self.kept[start : start + settled] = True
        keepers[:settled] = np.arange(start, start + settled)
        if short is None:
            self.shorten(keepers[:settled], held[:settled])
        count = settled
        for first in range(start + settled, stop, BLOCK_ROWS):
            last = min(first + BLOCK_ROWS, stop)
            block = self.shorten(np.arange(first, last)) if short is None else short[first - start : last - start].copy()
            self.compare(first, block, keepers[:count], held[:count])
            if not among:
                self.kept[first:last] = self.best_rank[first:last] < 0
                advance(last - first)
                continue
            self.settle(first, block)
            fresh = np.flatnonzero(self.kept[first:last])
            keepers[count : count + len(fresh)] = first + fresh
            held[count : count + len(fresh)] = block[fresh]
            count += len(fresh)
            advance(last - first)
