"""Sketches of texts, kept between runs: a cache in `indexes/sketches`, found by content hash and by what made them.

A text is sketched once for each set of settings, in whatever dataset it stands. The cache holds nothing that cannot be made
again: what is missing, damaged or made by other code is not found, and so is sketched anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from curate import __version__
from curate.spill import SMALL_WRITE_BYTES, TOUCH_BYTES, give_back, in_small_pages, rows_within
from curate.workspace import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY_BYTES = 16
MOST_SETTINGS = 4
"""Sketches of so many different methods and settings stay; those used longest ago go."""
READ_ROWS = 4_096
MOST_SEGMENTS = 16
"""Every run with new texts adds a segment; beyond so many they become one."""
_MANIFEST = "manifest.json"


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
        self._whole: list[dict[str, Any]] = []
        self._segments = self._opened()
        if self._folder.is_dir() and writable:
            os.utime(self._folder)

    def find(self, keys: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Look contents up.

        Args:
            keys: (u, 16) of the content hash.

        Returns:
            (u,) places, for `read`, or -1.
        """
        wanted = np.ascontiguousarray(keys).view(np.uint64)  # (u, 2)
        places = np.full(len(keys), -1, np.int64)
        start = 0
        for known, _ in self._segments:
            order = np.argsort(known[:, 0])
            leading = known[order, 0]
            at, asking = np.searchsorted(leading, wanted[:, 0]), np.arange(len(wanted))
            while len(asking):  # more than once only where leading halves collide
                asking = asking[at[asking] < len(leading)]
                asking = asking[leading[at[asking]] == wanted[asking, 0]]
                hit = known[order[at[asking]], 1] == wanted[asking, 1]
                places[asking[hit]] = start + order[at[asking[hit]]]
                asking = asking[~hit]
                at[asking] += 1
            start += len(known)
        return places

    def read(self, places: NDArray[np.int64], out: NDArray[Any], rows: NDArray[np.int64], memory_bytes: int) -> None:
        """Write the sketches at `places` (k,) to `out[rows]`.

        Args:
            memory_bytes: when about so much of what lies in files was touched, its pages are given back.
        """
        start = 0
        for known, sketches in self._segments:
            here = np.flatnonzero((places >= start) & (places < start + len(known)))
            copy_rows(sketches, out, rows[here], memory_bytes, places[here] - start)
            start += len(known)

    @property
    def row(self) -> tuple[int, np.dtype[Any]] | None:
        """The width and type of a sketch; None while there is none."""
        return self._row(self._segments) if self._segments else None

    @staticmethod
    def _row(segments: list[tuple[NDArray[np.uint64], NDArray[Any]]]) -> tuple[int, np.dtype[Any]]:
        return segments[0][1].shape[1], segments[0][1].dtype

    def add(self, keys: NDArray[np.uint8], pieces: Iterable[NDArray[Any]]) -> NDArray[Any]:
        """Keep new sketches.

        Args:
            keys: (n, 16), n > 0, none of which is here.
            pieces: their sketches, in the same order, in runs of any length.

        Returns:
            (n, width), a memory map.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        _forget_oldest(self._folder)
        self._clear()
        if len(self._segments) >= MOST_SEGMENTS:
            self._merge()
        added = self._written(keys.view(np.uint64), pieces)
        self._segments.append(added)
        return added[1]

    def _merge(self) -> None:
        keys = np.concatenate([known for known, _ in self._segments])
        pieces = [sketches for _, sketches in self._segments]
        self._whole, self._segments = [], []
        self._segments = [self._written(keys, pieces)]
        self._clear()

    def _written(self, keys: NDArray[np.uint64], pieces: Iterable[NDArray[Any]]) -> tuple[NDArray[np.uint64], NDArray[Any]]:
        """Write a segment, then the manifest that names it: a crash leaves the old state or the new one."""
        temporary = self._folder / f"new-{secrets.token_hex(4)}.tmp"
        try:
            with temporary.open("xb", buffering=0) as file:
                digest, width, kind = _write(file, keys, pieces)
            name = f"{digest[:32]}.sketches"
            temporary.replace(self._folder / name)
        finally:
            temporary.unlink(missing_ok=True)
        entry = {"file": name, "rows": len(keys), "width": width, "type": kind, "sha256": digest}
        self._whole.append(entry)
        write_atomically(self._folder / _MANIFEST, json.dumps(self._whole, indent=1).encode())
        return _mapped(self._folder / name, entry)

    def _manifest(self) -> list[dict[str, Any]]:
        try:
            found = json.loads((self._folder / _MANIFEST).read_text(encoding="utf-8"))
            return [{**file, "file": Path(file["file"]).name} for file in found]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _opened(self) -> list[tuple[NDArray[np.uint64], NDArray[Any]]]:
        """Map every segment that is whole."""
        self._whole = []
        segments: list[tuple[NDArray[np.uint64], NDArray[Any]]] = []
        for entry in self._manifest():
            with suppress(OSError, ValueError, KeyError, TypeError):
                path = self._folder / entry["file"]
                with path.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                        continue
                segment = _mapped(path, entry)
                if not segments or (segment[1].shape[1], segment[1].dtype) == self._row(segments):
                    segments.append(segment)
                    self._whole.append(entry)
        return segments

    def _clear(self) -> None:
        """Remove what the manifest does not name, and from the manifest what is not whole."""
        if self._whole != self._manifest():
            write_atomically(self._folder / _MANIFEST, json.dumps(self._whole, indent=1).encode())
        for file in self._folder.iterdir():
            if file.name not in {_MANIFEST, *(entry["file"] for entry in self._whole)}:
                file.unlink(missing_ok=True)


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


def _write(file: BinaryIO, keys: NDArray[np.uint64], pieces: Iterable[NDArray[Any]]) -> tuple[str, int, str]:
    """Write keys, then sketches; returns the SHA-256 of it all, and a sketch's width and type."""
    digest = hashlib.sha256()
    width, kind = 0, "|u1"
    head = np.ascontiguousarray(keys)
    _put(file, head)
    digest.update(head.data)
    for piece in pieces:
        whole = np.ascontiguousarray(piece)
        width, kind = whole.shape[1], whole.dtype.str
        _put(file, whole)
        digest.update(whole.data)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest(), width, kind


def _put(file: BinaryIO, array: NDArray[Any]) -> None:
    """Write an array in small pieces to a file without a buffer, which may take less than it is given."""
    left = array.reshape(-1).view(np.uint8).data
    while len(left):
        left = left[file.write(left[:SMALL_WRITE_BYTES]) :]


def _mapped(path: Path, entry: Mapping[str, Any]) -> tuple[NDArray[np.uint64], NDArray[Any]]:
    rows, width = int(entry["rows"]), int(entry["width"])
    keys = np.fromfile(path, np.uint64, rows * 2).reshape(rows, 2)
    return keys, in_small_pages(np.memmap(path, np.dtype(entry["type"]), "r", rows * KEY_BYTES, (rows, width)))


def _forget_oldest(used: Path) -> None:
    """Remove the caches beside `used` that were used longest ago."""
    others = sorted((folder for folder in used.parent.iterdir() if folder != used), key=lambda folder: -folder.stat().st_mtime)
    for folder in others[MOST_SETTINGS - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)
