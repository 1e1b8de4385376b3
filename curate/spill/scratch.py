"""Working arrays that stay in memory while the budget lasts and lie in a removed-afterwards file beyond it."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from curate.spill import in_small_pages, shared_map
from curate.spill.residency import Residency


class Scratch:
    """Hands out arrays; a context manager, whose end removes every file.

    Args:
        memory_bytes: what all arrays in memory may take together.
        folder: where files go; None for the system's temporary folder.
        residency: watches the arrays that lie in files, so that whoever walks over them can ease it.
    """

    def __init__(self, memory_bytes: int, folder: Path | None, residency: Residency) -> None:
        self._left = memory_bytes
        self._parent = folder
        self._folder: Path | None = None
        self._files = 0
        self.residency = residency
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
        if shared_map(array) is None:
            longer = self.array(size, array.dtype)
            longer[: len(array)] = array
            self.release(array)
            return longer
        file: Path = array.base.filename  # type: ignore[union-attr]
        self.residency.forget(array)
        self.spilled_bytes += (size - len(array)) * array.itemsize
        with file.open("r+b") as stream:
            stream.truncate(size * array.itemsize)
        return self._view(np.memmap(file, dtype=array.dtype, mode="r+", shape=(size,)))

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
        self.residency.watch(in_small_pages(mapped))
        return mapped.view(np.ndarray)
