"""Finds pictures that show the same thing in the same way: resized, recompressed, cropped, relit, marked."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from curate.dedupers import MarkOptions, Marks, TextAccess
from curate.dedupers._perceptual_codes import JOINS, UNCROPPED, VIEWS, candidates, codes, index, masks, near
from curate.dedupers._perceptual_measure import WIDTH, Tables, grey_scale, is_tiny, measure, pose, tables
from curate.errors import SettingError
from curate.records import Progress

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 2048
_REBUILD = 4096, 32
"""So many kept rows, or such a fraction of them, are compared one by one before the index is built anew."""
_RECALL = "pairs are looked for by 64-bit codes: 0.998 of the duplicates among generated edits of photographs"
_POSES = {"flip": ((True, 0),), "rotate": ((False, 1), (False, 2), (False, 3))}


class Perceptual:
    """Aligned correlation of perceptual vectors.

    Candidates are pairs whose 64-bit codes lie near each other, whole against whole or against a crop; each is verified by
    correlating the whitened thumbnails, over small crops of either and over all places a watermark may hide.

    The default threshold errs to keeping. Of 22 kinds of edit of 120 photographs of clothing_small it finds 0.995 (0.996 at
    0.80; the least, a crop of 5 % a side: 0.93). Of the 6 pairs that 0.80 flagged among the 1,713 unedited ones it keeps the
    two that are the same picture to the eye; the others, at 0.816 to 0.823, are not. Tuned and measured on the same set.

    Args:
        threshold: lowest measure of a duplicate, in (0, 1].
        invariant: what counts as the same picture, joined by commas: "flip" (left to right), "rotate" (quarter turns), or "".
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    consumes: ClassVar[Literal["hash", "text", "vectors"]] = "vectors"
    embedder: ClassVar[str | None] = "perceptual"
    measure: ClassVar[str] = "aligned correlation of whitened thumbnails"
    equals_share_fate: ClassVar[bool] = False

    def __init__(self, *, threshold: float | None = None, invariant: str = "", **settings: Any) -> None:
        if settings:
            unknown = ", ".join(sorted(settings))
            raise SettingError(f"the perceptual deduper has no setting {unknown}", hint="it has threshold and invariant")
        self.threshold = 0.83 if threshold is None else threshold
        if not 0 < self.threshold <= 1:
            raise SettingError(f"threshold must be in (0, 1], got {self.threshold}", hint="--threshold 0.83")
        asked = {word.strip() for word in invariant.split(",") if word.strip()}
        if asked - _POSES.keys():
            raise SettingError(f"invariant knows flip and rotate, got {invariant!r}", hint="--invariant flip,rotate")
        self.settings: dict[str, Any] = {"threshold": self.threshold, "invariant": ",".join(sorted(asked))}
        turns = range(4) if "rotate" in asked else range(1)
        self._poses = [(mirror, turn) for mirror in (False, True)[: 1 + ("flip" in asked)] for turn in turns]

    def sketch(self, texts: pa.LargeStringArray) -> NDArray[Any]:
        """Refuse: the embedder's vectors are the sketches."""
        raise SettingError("the perceptual deduper compares vectors, not texts", hint="embed the images first: curate embed")

    def mark(
        self,
        sketches: NDArray[Any],
        order: NDArray[np.int64],
        *,
        settled: int = 0,
        texts: TextAccess | None = None,
        options: MarkOptions = MarkOptions(),
        progress: Progress,
    ) -> Marks:
        """Point each near-duplicate at the most similar kept row before it; see `Deduper`."""
        sketches = _checked(sketches)
        threads = options.threads or os.cpu_count() or 1
        stands_for, similarity = np.full(len(sketches), -1, np.int64), np.ones(len(sketches), np.float32)
        table, joins = tables(), np.array(JOINS, np.int64)
        own, posed = self._codes(sketches, order, table)
        kept, count, compared = np.empty(len(order), np.int64), settled, 0  # positions in `order`
        kept[:settled] = np.arange(settled)
        progress.start("comparing", total=len(order) - settled, unit="images")
        with ThreadPoolExecutor(threads) as pool:
            blocks = index(own, kept[:0])
            indexed = 0
            for start in range(settled, len(order), _BLOCK):
                if indexed == 0 or count - indexed > max(_REBUILD[0], count // _REBUILD[1]):
                    blocks, indexed = index(own, kept[:count]), count
                rows = np.arange(start, min(start + _BLOCK, len(order)))
                turned = self._turned(sketches[order[rows]])
                best, keeper = np.full(len(rows), -1, np.float32), np.full(len(rows), -1, np.int64)
                scan = partial(
                    _scan, turned, posed[rows], own, blocks.starts, blocks.rows, kept[indexed:count], sketches, order, joins,
                    masks(), table, self.threshold, best, keeper,
                )  # fmt: skip
                compared += sum(pool.map(scan, np.array_split(np.arange(len(rows)), threads)))
                added, pairs = _settle(turned, posed[rows], own[rows], joins, table, self.threshold, best, keeper, start)
                compared += pairs
                kept[count : count + len(added)] = added
                count += len(added)
                marked = np.flatnonzero(keeper >= 0)
                stands_for[order[rows[marked]]] = order[keeper[marked]]
                similarity[order[rows[marked]]] = best[marked]
                progress.advance(len(rows))
        progress.finish()
        return Marks(stands_for, similarity, compared, notes=(_RECALL,))

    def _codes(
        self, sketches: NDArray[Any], order: NDArray[np.int64], table: Tables
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Codes of the rows as they are, (m, views), and in every pose, (m, poses, views)."""
        posed = np.empty((len(order), len(self._poses), len(VIEWS)), np.uint64)
        for start in range(0, len(order), _BLOCK):
            vectors = sketches[order[start : start + _BLOCK]]
            for number, (mirror, turn) in enumerate(self._poses):
                posed[start : start + len(vectors), number] = codes(pose(vectors, mirror, turn), table)
        return np.ascontiguousarray(posed[:, 0]), posed

    def _turned(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, poses, WIDTH), the vectors themselves first."""
        return _frozen(np.stack([pose(vectors, *p) for p in self._poses], axis=1))

    def similarity(self, left: Any, right: Any) -> NDArray[np.float32]:
        """The measure of m pairs of vectors, over the poses that `invariant` names."""
        out = np.empty(len(left), np.float32)
        _pairs(_checked(right), self._turned(_checked(left)), tables(), out)
        return out


def _checked(vectors: NDArray[Any]) -> NDArray[np.float32]:
    if vectors.ndim != 2 or vectors.shape[1] != WIDTH:
        raise SettingError(
            f"the perceptual deduper needs perceptual vectors of width {WIDTH}, got an array of shape {vectors.shape}",
            hint="embed the images first: curate embed --embedder perceptual",
        )
    return _frozen(np.ascontiguousarray(vectors, np.float32))


def _frozen(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """A read-only view: memory maps and Arrow columns are read-only, and one kernel should serve all."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


@njit(cache=True, nogil=True)
def _near(posed, own, joins):  # type: ignore[no-untyped-def]
    for number in range(posed.shape[0]):  # noqa: SIM110 (numba has no any over a generator)
        if near(posed[number], own, joins):
            return True
    return False


@njit(cache=True, nogil=True)
def _joins(vector, joins):  # type: ignore[no-untyped-def]
    return joins[:UNCROPPED] if is_tiny(vector, grey_scale(vector)) else joins


@njit(cache=True, nogil=True)
def _scan(turned, posed, own, starts, rows, recent, sketches, order, joins, flips, table, threshold, best, keeper, part):  # type: ignore[no-untyped-def]
    """Best kept row before the block for each row of `part`; returns how many pairs were measured."""
    compared, seen, found = 0, np.full(len(own), -1, np.int32), np.empty(len(own), np.int32)
    for row in part:
        count, tried = 0, _joins(turned[row, 0], joins)
        for number in range(posed.shape[1]):
            count += candidates(posed[row, number], own, tried, flips, starts, rows, seen, row, found[count:])
        for position in recent:
            if _near(posed[row], own[position], tried):
                found[count] = position
                count += 1
        for position in found[:count]:
            compared += 1
            c = measure(turned[row, 0], sketches[order[position]], turned[row], table, threshold)
            if c > best[row] or (c == best[row] and position < keeper[row]):
                best[row], keeper[row] = c, position
    return compared


@njit(cache=True, nogil=True)
def _settle(turned, posed, own, joins, table, threshold, best, keeper, start):  # type: ignore[no-untyped-def]
    """Visit the block's rows in order: compare with the block's kept ones, then mark or keep."""
    added, count, compared = np.empty(len(turned), np.int64), 0, 0
    for row in range(len(turned)):
        tried = _joins(turned[row, 0], joins)
        for earlier in added[:count]:
            if _near(posed[row], own[earlier], tried):
                compared += 1
                c = measure(turned[row, 0], turned[earlier, 0], turned[row], table, threshold)
                if c > best[row]:
                    best[row], keeper[row] = c, earlier + start
        if best[row] < threshold:
            keeper[row] = -1
            added[count] = row
            count += 1
    return added[:count] + start, compared


@njit(cache=True, nogil=True)
def _pairs(right, turned, table, out):  # type: ignore[no-untyped-def]
    for row in range(len(right)):
        out[row] = measure(turned[row, 0], right[row], turned[row], table, -1.0)


PLUGIN = Perceptual
