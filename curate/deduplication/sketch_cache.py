"""Sketches of texts, kept between runs: a cache in `indexes/sketches`, found by content hash and by what made them.

A text is sketched once for each set of settings, in whatever dataset it stands. The cache holds nothing that cannot be made
again: what is missing, damaged or made by other code is not found, and so is sketched anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import __version__
from curate.dedupers.rows.runs import find_keys
from curate.spill import TOUCH_BYTES, give_back, rows_within
from curate.workspace.append_table import GrowingTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_SETTINGS = 4
"""Sketches of so many different methods and settings stay; those used longest ago go."""
READ_ROWS = 4_096


class SketchCache:
    """The sketches that one method made with one set of settings.

    Args:
        root: the folder of all such caches.
        method: its name.
        settings: all that decides what a sketch is.
        writable: whether this process is the only one that may change the cache.
    """

    def __init__(self, root: Path, method: str, settings: Mapping[str, Any], *, writable: bool = True) -> None:
        made_by = json.dumps({"method": method, "settings": settings, "code": __version__}, sort_keys=True)
        self._folder = root / f"{method}-{hashlib.sha256(made_by.encode()).hexdigest()[:16]}"
        self._table = GrowingTable(self._folder)
        if self._folder.is_dir() and writable:
            os.utime(self._folder)

    def find(self, keys: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Look contents up.

        Args:
            keys: (u, 16) of the content hash.

        Returns:
            (u,) rows of `sketches`, or -1.
        """
        if not len(self._table) or not len(keys):
            return np.full(len(keys), -1, np.int64)
        wanted, known = np.ascontiguousarray(keys).view(np.uint64), self._table.read("key").view(np.uint64)
        places = np.full(len(keys), -1, np.int64)
        start = int(find_keys(known, wanted[:1])[0])
        together = 0
        if start >= 0:  # contents mostly lie here in the order in which they are asked for
            most = min(len(wanted), len(known) - start)
            differs = np.flatnonzero((known[start : start + most] != wanted[:most]).any(axis=1))
            together = int(differs[0]) if len(differs) else most
            places[:together] = np.arange(start, start + together)
        places[together:] = find_keys(known, wanted[together:])
        return places

    @property
    def sketches(self) -> NDArray[Any]:
        """(n, width) all of them, a memory map; n > 0."""
        return self._table.columns["sketch"]

    def add(self, keys: NDArray[np.uint8], pieces: Iterable[NDArray[Any]]) -> NDArray[np.int64]:
        """Keep new sketches.

        Args:
            keys: (n, 16), n > 0, none of which is here.
            pieces: their sketches, in the same order, in runs of any length.

        Returns:
            (n,) their rows of `sketches`.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        _forget_oldest(self._folder)
        before = len(self._table)

        def rows() -> Iterator[dict[str, NDArray[Any]]]:
            done = 0
            for piece in pieces:
                yield {"key": keys[done : done + len(piece)], "sketch": piece}
                done += len(piece)

        self._table.extend(rows())
        return np.arange(before, len(self._table))


def copy_rows(
    source: NDArray[Any], out: NDArray[Any], rows: NDArray[np.int64], memory_bytes: int, taken: NDArray[np.int64] | None = None
) -> None:
    """Write the rows `taken` (k,) of a source, all by default, to `out[rows]`; pages that were touched are given back."""
    block, touched = rows_within(memory_bytes // 8, READ_ROWS), 0
    for low in range(0, len(rows), block):  # so few at a time that the gathered ones stay in the cache
        part = slice(low, low + block)
        out[rows[part]] = source[part if taken is None else taken[part]]
        touched += 2 * TOUCH_BYTES * block
        if touched > memory_bytes:
            give_back(source)
            give_back(out)
            touched = 0


def _forget_oldest(used: Path) -> None:
    """Remove the caches beside `used` that were used longest ago."""
    others = sorted((folder for folder in used.parent.iterdir() if folder != used), key=lambda folder: -folder.stat().st_mtime)
    for folder in others[MOST_SETTINGS - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)
