"""Which rows share a band, within a limit of memory: sketches are gathered a block at a time, and each band is sorted alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.dedupers.shingling import kernels as kernels
from curate.dedupers.shingling.shingles import cores
from curate.errors import WorkError
from curate.records import Progress
from curate.spill import TOUCH_BYTES
from curate.spill.scratch import Scratch

_ROW_BYTES = 80
"""What a row costs at least: its place in the order, its fingerprint while equal ones are found, its mark."""


class Budget:
    """How a limit of memory is shared out: arrays, texts in work, and mapped pages that were touched."""

    def __init__(self, memory_bytes: int, rows: int, bands: int) -> None:
        self._memory_bytes = memory_bytes
        self._rows = rows
        self._bands = bands
        self.arrays = max(0, memory_bytes // 2 - _ROW_BYTES * rows)
        """Bytes of working arrays beside those of `_ROW_BYTES`."""
        self.resident = memory_bytes * 5 // 8
        """From so many bytes more than at the start on, mapped pages are given back."""
        self.texts = min(max(memory_bytes // 40, 2**18), 16 * 2**20)
        """Bytes of text that are cut into shingles at a time; their sets and tables take four times as much beside them."""

    def block(self, *, mapped: bool) -> int:
        """Rows of sketches to gather at a time: where each may lie on another page, an eighth of the limit."""
        return min(max(self._memory_bytes // 8 // TOUCH_BYTES, 256), 2**16) if mapped else 2**16

    def window(self, *, spilled: bool) -> int:
        """Rows to compare at a time: where arrays were spilled, each touches about a page a band."""
        return max(self._memory_bytes // 8 // TOUCH_BYTES // (self._bands + 8), 16) if spilled else 2**16

    def notes(self) -> list[str]:
        """A sentence where the limit cannot be kept."""
        least = _ROW_BYTES * self._rows * 5 // 4 + 2**24
        if self._memory_bytes >= least:
            return []
        return [f"{self._rows} texts take about {least / 2**20:.0f} MiB, more than the limit of memory allows"]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Which rows share a band.

    Attributes:
        groups: (bands, k) int32, the bucket of each row in each band, or -1 where it meets nobody.
        bases: (bands,) the buckets before each band; `total` of them in all.
        meeting: (m,) the rows that have a bucket, rising.
    """

    groups: NDArray[np.int32]
    bases: NDArray[np.int64]
    total: int
    meeting: NDArray[np.int64]


def noted_bytes(rows: int, bands: int) -> int:
    """What the notes of so many rows take in `settled_that_meet`."""
    return 9 * _noted_slots(rows, bands)


def _noted_slots(rows: int, bands: int) -> int:
    return 1 << max(4, (2 * rows * bands).bit_length())


def settled_that_meet(
    sketches: NDArray[np.uint32], order: NDArray[np.int64], settled: int, bands: int, scratch: Scratch, budget: Budget
) -> NDArray[np.int64]:
    """(s,) of the first `settled` places of `order`, those whose row shares a band with a row after them, rising.

    No other of them is a candidate for anything: so a few new rows meet many old ones at the cost of a look at each.
    """
    size = _noted_slots(len(order) - settled, bands)
    table, sieve = np.zeros(size, np.uint64), np.zeros(size, np.uint8)  # one bit in 16 at most is set
    block = budget.block(mapped=scratch.residency.watched)
    meets = np.empty(settled, np.bool_)
    for low in range(settled, len(order), block):
        kernels.note_bands(sketches[order[low : low + block]], bands, table, sieve)
    lead = order[:settled]
    for low in range(0, settled, block):
        kernels.meets_noted(sketches, lead[low : low + block], bands, table, sieve, meets[low : low + block])
        scratch.residency.ease()
    return np.flatnonzero(meets)


def fingerprints(
    sketches: NDArray[np.uint32], order: NDArray[np.int64], bands: int, scratch: Scratch, budget: Budget
) -> NDArray[np.uint64]:
    """(m,) the 64-bit fingerprint of each row in `order`."""
    block = budget.block(mapped=scratch.residency.watched)
    prints = np.empty(len(order), np.uint64)
    for low in range(0, len(order), block):
        halves = sketches[order[low : low + block], bands:]
        prints[low : low + block] = halves[:, 0].astype(np.uint64) << np.uint64(32) | halves[:, 1]
        scratch.residency.ease()
    return prints


def number_buckets(
    sketches: NDArray[np.uint32],
    rows: NDArray[np.int64],
    bands: int,
    settled: int,
    threads: int,
    scratch: Scratch,
    budget: Budget,
    progress: Progress,
) -> Buckets:
    """Number the buckets of each band in which a row beyond the settled ones meets another."""
    if len(rows) >= 2**31:
        raise WorkError(f"minhash takes at most {2**31 - 1} different texts at once, got {len(rows)}")
    block = budget.block(mapped=scratch.residency.watched)
    groups = scratch.array((bands, len(rows)), np.uint32)  # hashes at first, then in their place the buckets
    numbers = groups.view(np.int32)
    for low in range(0, len(rows), block):
        groups[:, low : low + block] = sketches[rows[low : low + block], :bands].T
        scratch.residency.ease()
    meets = np.zeros(len(rows), dtype=bool)
    progress.start("grouping by band", total=bands, unit="bands")

    def number(band: int) -> int:
        keys = np.empty(len(rows), np.uint64)
        kernels.band_keys(groups[band], keys)
        keys.sort()
        count: int = kernels.number_buckets(keys, settled, numbers[band])
        return count

    counts: list[int] = []
    together = max(1, min(cores(threads), budget.arrays // 2 // (8 * len(rows) + 1)))
    with ThreadPoolExecutor(together) as pool:
        for low in range(0, bands, together):
            counts += pool.map(number, range(low, min(low + together, bands)))
            for band in range(low, len(counts)):
                meets |= numbers[band] >= 0
            scratch.residency.ease()
            progress.advance(len(counts) - low)
    progress.finish()
    ends = np.cumsum([0, *counts])
    return Buckets(numbers, ends[:-1], int(ends[-1]), np.flatnonzero(meets))
