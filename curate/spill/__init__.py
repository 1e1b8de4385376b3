"""Arrays that lie in files where they are too large for the memory, and what keeps their pages from filling it all the same.

A page of a mapped file counts to the process's resident size once it was touched, and its neighbours with it: 64 KiB of them
on Linux, or, where the system's cache holds the file in larger pieces (Linux 6.18), up to 2 MiB. It does so for what was
written in larger pieces, or read ahead. So a file alone bounds nothing: whoever walks over a large map gives its pages
back from time to time. They come back from the file, whatever was written to them included.
"""

from __future__ import annotations

import mmap
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

TOUCH_BYTES = 2**16
"""What a read of one row anywhere in a map `in_small_pages` adds to the resident size, beside the row itself."""
SMALL_WRITE_BYTES = 2**14
"""What is written in pieces of this size, the system's cache holds in pieces no larger than `TOUCH_BYTES`."""


def roomy(shape: tuple[int, ...], kind: DTypeLike, memory_bytes: int, folder: Path, prefix: str = "array-") -> NDArray[Any]:
    """Make an array in memory, or over `memory_bytes` in a file of `folder` that has no name left to leak."""
    if int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize <= memory_bytes:
        return np.empty(shape, kind)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=prefix, delete=False) as file:
        path = Path(file.name)
    array: NDArray[Any] = in_small_pages(np.memmap(path, kind, "w+", shape=shape))
    with suppress(OSError):  # where a mapped file cannot lose its name, it stays until the folder is cleared
        path.unlink()
    return array


def in_small_pages(array: np.memmap[Any, Any]) -> np.memmap[Any, Any]:
    """The same map, of which what is written from now on is held in single pages: a touch maps `TOUCH_BYTES` and no more."""
    shared = shared_map(array)
    if shared is not None and hasattr(mmap, "MADV_RANDOM"):
        shared.madvise(mmap.MADV_RANDOM)
    return array


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


def give_back(array: np.ndarray[Any, Any]) -> None:
    """Drop the pages of the map behind an array, if there is one."""
    shared = shared_map(array)
    if shared is not None:
        drop(shared)


def drop(shared: mmap.mmap) -> None:
    """Drop the pages of a shared map."""
    if hasattr(mmap, "MADV_DONTNEED"):
        shared.madvise(mmap.MADV_DONTNEED)


def rows_within(memory_bytes: int, most: int) -> int:
    """How many rows anywhere in a map may be touched within a limit; at least 64, which are 4 MiB, and at most `most`."""
    return min(max(memory_bytes // TOUCH_BYTES, 64), most)


def resident_bytes() -> int:
    """What the process holds in memory now, mapped pages included."""
    import psutil  # 20 ms, and this module is imported where nothing is spilled

    return int(psutil.Process().memory_info().rss)


def return_unused() -> None:
    """Hand what Arrow and the C library hold in reserve back to the system."""
    import ctypes

    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
