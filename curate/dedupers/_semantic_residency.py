"""Keeps memory-mapped vectors from filling the memory: pages that were read are handed back while the work goes on.

A page of a mapped file stays in the process's resident size after it was read, so a join that visits every row of a large
map would in the end hold the whole file. Pages of a shared map can be dropped at any time: they come back from the file.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import psutil


class Residency:
    """Holds the process to the size that it had at the start plus a limit, as far as mapped arrays are what grows.

    Args:
        memory_bytes: how much the resident size may grow before mapped pages are dropped.
        arrays: arrays, or views of them; those that are no shared memory map of numpy's are left alone.
    """

    def __init__(self, memory_bytes: int, *arrays: np.ndarray[Any, Any]) -> None:
        self._maps: list[mmap.mmap] = []
        self._process = psutil.Process()
        self._calls = 0
        self._memory_bytes = memory_bytes
        self._limit = 0
        self.watch(*arrays)

    def watch(self, *arrays: np.ndarray[Any, Any]) -> None:
        """Look after more arrays; their pages are dropped now, and what is then resident is the new start."""
        found = [shared for array in arrays if (shared := shared_map(array)) is not None]
        if found:
            self._maps += found
            self._drop()
            self._limit = self._process.memory_info().rss + self._memory_bytes

    def ease(self, every: int = 1) -> None:
        """Drop mapped pages if the process has grown over the limit; may be called from any thread.

        Args:
            every: look at the resident size, which takes some 10 µs, at one call in so many; for those between short work.
        """
        if not self._maps:
            return
        self._calls += 1
        if self._calls % every == 0 and self._process.memory_info().rss > self._limit:
            self._drop()

    def _drop(self) -> None:
        for shared in self._maps:
            shared.madvise(mmap.MADV_DONTNEED)


def shared_map(array: np.ndarray[Any, Any]) -> mmap.mmap | None:
    """The map behind an array, or None where there is none whose pages may be dropped.

    A copy-on-write map would lose its changes, and a system without `madvise` has no way to drop pages.
    """
    at: Any = array
    while at is not None:
        if isinstance(at, np.memmap):
            shared = getattr(at, "_mmap", None)
            usable = isinstance(shared, mmap.mmap) and at.mode in ("r", "r+", "w+") and hasattr(mmap, "MADV_DONTNEED")
            return shared if usable else None
        at = getattr(at, "base", None)
    return None
