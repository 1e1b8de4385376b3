"""Goes through perceptual vectors in order and finds each one's best kept row, with an index no larger than memory allows.

Where all kept rows fit, one pass does. Where they do not, rows are taken in segments: a segment is first compared with what was
kept before it, a load of the index at a time, then goes through itself. Which pairs are compared is the same, so are the marks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from curate.dedupers.thumbnail_join.codes import FIXED_BYTES, Codes, bytes_a_row, candidates, codes, empty_index, insert, near
from curate.dedupers.thumbnail_join.measure import measure
from curate.dedupers.thumbnail_join.waves import WIDTH, grey_scale, is_tiny, pose, tables

BLOCK = 64
"""Rows are looked up together against what was kept before them, then settled one by one."""
LEAST_SEGMENT = 4096
"""Rows that are indexed together however little memory there is: some 2 MB, beside FIXED_BYTES."""


class Visit:
    """Kept rows, numbered in the order that they were kept, and the index of some of them.

    Args:
        sketches: (n, WIDTH) read-only vectors, by row number.
        order: (m,) the rows to visit.
        poses: (mirrored, quarter turns) that count as the same picture.
        memory_bytes: what the index and its work space may take.
        ease: called after every block of vectors that was read.
    """

    def __init__(
        self,
        sketches: NDArray[np.float32],
        order: NDArray[np.int64],
        poses: Sequence[tuple[bool, int]],
        *,
        threshold: float,
        threads: int,
        memory_bytes: int,
        pool: Executor,
        ease: Callable[[], None],
    ) -> None:
        self.segment = min(max((memory_bytes - FIXED_BYTES) // bytes_a_row(threads), LEAST_SEGMENT), max(len(order), 1))
        """So many rows are indexed together."""
        self.kept = np.empty(len(order), np.int64)
        """(m,) row numbers, of which the first `count` are valid."""
        self.count = 0
        self.compared = 0
        self.loads = 0
        """How often kept rows were indexed anew to be compared with a later segment."""
        self._base = 0
        self._held = 0
        self._index = empty_index(self.segment)
        self._seen = np.zeros((threads, self.segment), np.int64)
        self._found = np.empty((threads, self.segment), np.int32)
        self._stamp = 0
        self._sketches, self._order, self._poses = sketches, order, poses
        self._threshold, self._threads, self._pool, self._ease = threshold, threads, pool, ease

    def blocks(
        self, settled: int, *, among: bool = True
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]]:
        """Visit all rows: for each block its row numbers, best similarities, and keepers' row numbers or -1.

        Without `among`, rows beyond the settled ones are compared with these alone.
        """
        for low in range(0, len(self._order), self.segment):
            rows = self._order[low : low + self.segment]
            free = min(max(settled - low, 0), len(rows))
            best, keeper = np.full(len(rows), -1, np.float32), np.full(len(rows), -1, np.int64)
            for start in range(0, self.count if free < len(rows) else 0, self.segment):
                self._load(start)
                for block in range(free, len(rows), BLOCK):
                    part = slice(block, block + BLOCK)
                    turned = self._turned(rows[part])
                    self._scan(turned, posed_codes(turned), 0, best[part], keeper[part])
                    self._ease()
            self._clear()
            for block in range(0, len(rows), BLOCK):
                part = slice(block, block + BLOCK)
                first = max(min(free - block, BLOCK), 0)
                if among or first:
                    whole = part if among else slice(block, block + first)
                    self._settle(rows[whole], max(free - block, 0), best[whole], keeper[whole])
                if not among and first < len(rows[part]):
                    self._look(rows[part], first, best[part], keeper[part])
                self._ease()
                marked = np.where(keeper[part] >= 0, self.kept[np.maximum(keeper[part], 0)], -1)
                yield rows[part], best[part], marked

    def _turned(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return posed(self._sketches[rows], self._poses)

    def _clear(self) -> None:
        self._index.heads[:] = 0
        self._index.present[:] = 0
        self._base, self._held = self.count, 0

    def _load(self, start: int) -> None:
        """Index the kept rows from this number on."""
        self._clear()
        self._base, self.loads = start, self.loads + 1
        end = min(start + self.segment, self.count)
        for low in range(start, end, BLOCK):
            made = codes(self._sketches[self.kept[low : min(low + BLOCK, end)]], tables())
            for words in made.words:
                insert(self._index, self._held, words)
                self._held += 1
            self._ease()

    def _scan(self, turned: NDArray[Any], coded: Codes, free: int, best: NDArray[Any], keeper: NDArray[Any]) -> None:
        """Compare a block's rows from number `free` on with what is indexed."""
        parts = np.array_split(np.arange(free, len(turned)), self._threads)
        scan = partial(
            _scan, turned, coded.words, coded.weak, self._index, self.kept, self._base, self._sketches, tables(),
            self._threshold, self._stamp, best, keeper,
        )  # fmt: skip
        self.compared += sum(self._pool.map(scan, parts, self._seen, self._found))
        self._stamp += len(turned)

    def _look(self, rows: NDArray[np.int64], free: int, best: NDArray[Any], keeper: NDArray[Any]) -> None:
        """Compare a block's rows from number `free` on with what is indexed, and keep none of them."""
        if self._held:
            turned = self._turned(rows)
            self._scan(turned, posed_codes(turned), free, best, keeper)
        keeper[free:][best[free:] < self._threshold] = -1

    def _settle(self, rows: NDArray[np.int64], free: int, best: NDArray[Any], keeper: NDArray[Any]) -> None:
        turned = self._turned(rows)
        coded = posed_codes(turned)
        if free < len(rows) and self._held:
            self._scan(turned, coded, free, best, keeper)
        pairs, kept = _settle(
            turned, coded.words, coded.weak, self._index, self.kept, rows, tables(), self._threshold, free, best, keeper,
            self.count, self._held,
        )  # fmt: skip
        self.compared += pairs
        self._held += kept - self.count
        self.count = kept


def frozen(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """A read-only view: memory maps and Arrow columns are read-only, and one kernel should serve all."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def posed(vectors: NDArray[np.float32], poses: Sequence[tuple[bool, int]]) -> NDArray[np.float32]:
    """(n, poses, WIDTH), read-only, the vectors themselves first."""
    return frozen(np.stack([pose(vectors, *wanted) for wanted in poses], axis=1))


def posed_codes(turned: NDArray[np.float32]) -> Codes:
    """Codes of (n, poses, WIDTH) vectors, (n, poses, views, words)."""
    made = codes(turned.reshape(-1, WIDTH), tables())
    shape = turned.shape[:2] + made.words.shape[1:]
    return Codes(made.words.reshape(shape), made.weak.reshape(shape))


@njit(cache=True, nogil=True)
def _scan(turned, words, weak, index, kept, base, sketches, table, threshold, stamp, best, keeper, part, seen, found):  # type: ignore[no-untyped-def]
    """Best of the indexed rows for each row of `part`; returns how many pairs were measured."""
    compared = 0
    for row in part:
        count, tiny = 0, is_tiny(turned[row, 0], grey_scale(turned[row, 0]))
        for number in range(turned.shape[1]):
            own = stamp + row + 1
            count += candidates(words[row, number], weak[row, number], index, tiny, seen, own, found[count:])
        for place in found[:count]:
            at = base + place
            c = measure(turned[row, 0], sketches[kept[at]], turned[row], table, threshold)
            if c > best[row] or (c == best[row] and at < keeper[row]):
                best[row], keeper[row] = c, at
        compared += count
    return compared


@njit(cache=True, nogil=True)
def _settle(turned, words, weak, index, kept, rows, table, threshold, settled, best, keeper, count, held):  # type: ignore[no-untyped-def]
    """Visit the block's rows in order: compare with those kept in it, then mark or keep; how many were measured and kept."""
    compared, before = 0, count
    places = np.empty(len(rows), np.int64)
    for row in range(len(rows)):
        if row >= settled:
            tiny = is_tiny(turned[row, 0], grey_scale(turned[row, 0]))
            for at in range(before, count):
                earlier = places[at - before]
                near_any = False
                for number in range(turned.shape[1]):
                    near_any = near_any or near(words[row, number], weak[row, number], words[earlier, 0], index, tiny)
                if near_any:
                    compared += 1
                    c = measure(turned[row, 0], turned[earlier, 0], turned[row], table, threshold)
                    if c > best[row]:
                        best[row], keeper[row] = c, at
        if row < settled or best[row] < threshold:
            keeper[row] = -1
            places[count - before], kept[count] = row, rows[row]
            insert(index, held + count - before, words[row, 0])
            count += 1
    return compared, count


@njit(cache=True, nogil=True)
def measure_pairs(right, turned, table, out):  # type: ignore[no-untyped-def]
    """Write the measure of each pair of `turned` (n, poses, WIDTH) and `right` (n, WIDTH) to `out`."""
    for row in range(len(right)):
        out[row] = measure(turned[row, 0], right[row], turned[row], table, -1.0)
