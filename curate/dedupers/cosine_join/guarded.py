"""The greedy pass with a guard: a row stands behind the most similar kept row before it that no guard parts it from."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from curate.dedupers.cosine_join import guarded_kernels as kernels
from curate.dedupers.cosine_join.join import Pass


class PairGuard(Protocol):
    """Parts pairs of rows; see `curate.dedupers.guards.guard.Guard`."""

    classes: NDArray[np.uint64]
    letters: NDArray[np.uint64]

    def refusals(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(p,) not 0 where the pair is parted."""
        ...


@dataclass
class GuardedPass(Pass):
    """A pass over the rows of `Pass` that asks a guard about every pair which would count.

    Attributes:
        parted: (u,) int64, the earliest kept rank that is similar to this one and that a guard parts it from; -1 for none.
    """

    guard: PairGuard | None = None
    parted: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.parted = np.full(len(self.rows), -1, np.int64)
        self._lock = threading.Lock()

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
        """See `Pass.scan`; the pairs of a tile that are better than what is known are asked about together."""
        assert self.guard is not None
        keepers = self.rows[ranks]
        with self._lock:
            parted = self.parted[start + chosen]
        lines, columns, cosines = _pairs(bounds.size)
        count, compared, looked = kernels.pairs_in_tile(
            bounds, self.vectors, self.guard.classes, self.guard.letters, chosen, rows, keepers, ranks, self.threshold,
            best, best_rank, parted, lines, columns, cosines,
        )  # fmt: skip
        lines, columns, cosines = lines[:count], columns[:count], cosines[:count]
        refused = self.guard.refusals(rows[chosen[lines]], keepers[columns]) > 0
        kernels.take_best(lines, ranks[columns], cosines, refused, chosen, best, best_rank, parted)
        with self._lock:
            known = self.parted[start + chosen]
            self.parted[start + chosen] = np.where((known >= 0) & ((parted < 0) | (known < parted)), known, parted)
        self.residency.ease(min(2 * looked, len(chosen) + len(ranks)))
        found: int = compared
        return found

    def settle(self, start: int, block: NDArray[np.float32]) -> None:
        """See `Pass.settle`."""
        assert self.guard is not None
        stop = start + len(block)
        rows = self.rows[start:stop]
        lines, columns, cosines = _pairs(len(block) ** 2)
        count = kernels.pairs_in_block(block @ block.T, self.vectors, rows, self.threshold, lines, columns, cosines)
        lines, columns, cosines = lines[:count], columns[:count], cosines[:count]
        refused = self.guard.refusals(rows[lines], rows[columns]) > 0
        kernels.decide_block(
            lines, columns, cosines, refused, start, self.best[start:stop], self.best_rank[start:stop],
            self.kept[start:stop], self.parted[start:stop],
        )  # fmt: skip
        self.compared += count
        self.residency.ease(len(block))


def _pairs(most: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Room for so many pairs: lines, columns, cosines."""
    return np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.float32)
