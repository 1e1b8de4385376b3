"""Keeps memory-mapped arrays from filling the memory: pages that were touched are handed back while the work goes on.

A page of a mapped file stays in the process's resident size after it was touched, so whoever visits every row of a large
map would in the end hold the whole file. Pages of a shared map can be dropped at any time: they come back from the file.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import psutil

from curate.spill import TOUCH_BYTES, drop, rows_within, shared_map

LOOKS = 8
"""So many times the resident size is looked at while rows that may fill the limit are touched."""
LEAST_LOOK_BYTES = 2**22


class Residency:
    """Holds the process to the size that it had at the start plus a limit, as far as mapped arrays are what grows.

    Args:
        memory_bytes: how much the resident size may grow before mapped pages are dropped.
        arrays: arrays, or views of them; those that are no shared memory map of numpy's are left alone.
    """

    def __init__(self, memory_bytes: int, *arrays: np.ndarray[Any, Any]) -> None:
        self._maps: list[mmap.mmap] = []
        self._process = psutil.Process()
        self._touched_bytes = 0
        self.memory_bytes = memory_bytes
        self.watch(*arrays)
        self._limit = self._process.memory_info().rss + memory_bytes

    def watch(self, *arrays: np.ndarray[Any, Any]) -> None:
        """Look after more arrays; their pages are dropped now."""
        for array in arrays:
            shared = shared_map(array)
            if shared is not None:
                drop(shared)
                self._maps.append(shared)

    def forget(self, array: np.ndarray[Any, Any]) -> None:
        """Look after an array no more that was watched."""
        self._maps = [shared for shared in self._maps if shared is not shared_map(array)]

    @property
    def watched(self) -> bool:
        """Whether there is a map whose pages `ease` can drop."""
        return bool(self._maps)

    def block(self, most: int) -> int:
        """How many rows to read at a time, where each may lie on pages of its own; `most` where nothing is mapped."""
        return rows_within(self.memory_bytes // LOOKS, most) if self._maps else most

    def ease(self, touched_rows: int | None = None) -> None:
        """Drop mapped pages if the process has grown over the limit; may be called from any thread.

        Args:
            touched_rows: so many rows were read since the last call. The resident size, a look at which takes some 10 µs, is
                looked at once these may have filled an eighth of the limit; None to look now.
        """
        if not self._maps:
            return
        if touched_rows is not None:
            self._touched_bytes += touched_rows * TOUCH_BYTES
            if self._touched_bytes < max(self.memory_bytes // LOOKS, LEAST_LOOK_BYTES):
                return
        self._touched_bytes = 0
        if self._process.memory_info().rss > self._limit:
            for shared in self._maps:
                drop(shared)
