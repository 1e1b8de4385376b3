"""Working arrays that stay in memory while the budget lasts and lie in a removed-afterwards file beyond it.

A page of a mapped file counts to the process's resident size once it was touched, so a file alone bounds nothing:
whoever walks over large maps calls `ease` from time to time.
"""

from __future__ import annotations

import math
import mmap
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import psutil
from numpy.typing import DTypeLike, NDArray

from curate.dedupers import MarkOptions
from curate.spill import drop, in_small_pages, shared_map


class Scratch:
    """Hands out arrays; a context manager, whose end removes every file.

    Args:
        options: `memory_bytes` bounds what all arrays in memory take together, `folder` is where files go.
    """

    def __init__(self, options: MarkOptions) -> None:
        self._left = options.memory_bytes
        self._maps: list[mmap.mmap] = []
        self._process = psutil.Process()
        self._start_bytes = self._process.memory_info().rss
        self._parent = options.folder
        self._folder: Path | None = None
        self._files = 0
        self.spilled_bytes = 0
        """How much went to files, to be told in the notes."""

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def array(self, shape: int | tuple[int, ...], dtype: DTypeLike, fill: int | None = None) -> NDArray[Any]:
        """Make an array, of `fill` or, with None, of anything; it must not be used after the end of the context."""
        sides = (shape,) if isinstance(shape, int) else shape
        size = math.prod(sides) * np.dtype(dtype).itemsize
        if size <= self._left or size == 0:
            self._left -= size
            made = np.empty(sides, dtype)
        else:
            made = self._mapped(sides, dtype, size)
        if fill is not None:
            made.fill(fill)
        return made

    def release(self, array: NDArray[Any]) -> None:
        """Give the bytes of an array in memory back to the budget; the caller drops its own name for it."""
        if array.base is None:
            self._left += array.nbytes

    def enlarge(self, array: NDArray[Any], size: int) -> NDArray[Any]:
        """Make a vector of this context longer, keeping what it holds; the old one must not be used any more."""
        shared = shared_map(array)
        if shared is None:
            longer = self.array(size, array.dtype)
            longer[: len(array)] = array
            self.release(array)
            return longer
        file: Path = array.base.filename  # type: ignore[union-attr]
        self._maps.remove(shared)
        self.spilled_bytes += (size - len(array)) * array.itemsize
        with file.open("r+b") as stream:
            stream.truncate(size * array.itemsize)
        return self._view(np.memmap(file, dtype=array.dtype, mode="r+", shape=(size,)))

    def watch(self, array: NDArray[Any]) -> None:
        """Let `ease` drop the pages of an array of somebody else's too, if it is a map; they are dropped now."""
        shared = shared_map(array)
        if shared is not None:
            drop(shared)
            self._maps.append(shared)
            self._start_bytes = self._process.memory_info().rss

    @property
    def watched(self) -> bool:
        """Whether there is a map whose pages `ease` can drop."""
        return bool(self._maps)

    def ease(self, more_bytes: int) -> None:
        """Give mapped pages back, if the process has grown by over `more_bytes` since this context was made."""
        if self._maps and self._process.memory_info().rss > self._start_bytes + more_bytes:
            for shared in self._maps:
                drop(shared)

    def note(self) -> tuple[str, ...]:
        """One sentence on what was spilled, or nothing."""
        if not self.spilled_bytes:
            return ()
        return (f"{self.spilled_bytes / 2**20:.0f} MiB of working data went to disk to stay within the memory limit",)

    def _mapped(self, sides: tuple[int, ...], dtype: DTypeLike, size: int) -> NDArray[Any]:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="curate-dedupe-", dir=self._parent))
        self._files += 1
        self.spilled_bytes += size
        return self._view(np.memmap(self._folder / f"{self._files}.bin", dtype=dtype, mode="w+", shape=sides))

    def _view(self, mapped: np.memmap[Any, Any]) -> NDArray[Any]:
        shared = shared_map(in_small_pages(mapped))
        if shared is not None:
            self._maps.append(shared)
        return mapped.view(np.ndarray)
