"""Media bytes by content hash: `ab/cd/<hash><suffix>`, written before the row that names them."""

from __future__ import annotations

import ctypes
import os
import secrets
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from curate.catalog import faults

LEFTOVER = ".tmp"
"""How the name of a file ends that a write has not finished."""


class BlobStore:
    """A folder of immutable files, each named by the SHA-256 of its bytes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made: set[str] = set()
        self._swept = False

    @staticmethod
    def name(content_hash: str, suffix: str) -> str:
        """The path of a blob below the store, whether it exists or not."""
        return f"{content_hash[:2]}/{content_hash}{suffix}"

    def path(self, name: str) -> Path:
        """Where a blob lies."""
        return self.root / name

    def read(self, name: str) -> bytes:
        """Read a blob.

        Raises:
            OSError: it is not there.
        """
        return (self.root / name).read_bytes()

    def write(self, blobs: Iterable[tuple[str, bytes]]) -> int:
        """Store a batch durably: all are written under temporary names, synced together, then renamed.

        Syncing one by one would cost a disk flush a file; 70,000 thumbnails would take minutes.

        Args:
            blobs: names (of `name`) and bytes; those that are there already are left alone.

        Returns:
            How many were new.
        """
        if not self._swept:  # one process writes at a time: what a killed one left is nobody's
            self.sweep()
        root = str(self.root)
        token = secrets.token_hex(4)
        pending: list[tuple[str, str]] = []
        seen: set[str] = set()
        for name, data in blobs:
            final = f"{root}/{name}"
            if name in seen or os.path.exists(final):  # noqa: PTH110 (Path objects cost more than the call)
                continue
            seen.add(name)
            self._make_folder(name[:2])
            temporary = f"{final}.{token}{LEFTOVER}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, memoryview(data)[written:])
            finally:
                os.close(descriptor)
            pending.append((temporary, final))
        if pending:
            _sync_file_system(root)
            faults.passing("blob")
            for temporary, final in pending:
                os.rename(temporary, final)  # noqa: PTH104
            _sync_file_system(root)
        return len(pending)

    def sweep(self) -> int:
        """Remove what killed writes left; only the process that may write does so.

        Returns:
            How many files there were.
        """
        self._swept = True
        leftovers = [name for name in self.names() if name.endswith(LEFTOVER)]
        for name in leftovers:
            (self.root / name).unlink(missing_ok=True)
        return len(leftovers)

    def names(self) -> Iterable[str]:
        """Every blob in the store, and every leftover of a killed write (they end in `.tmp`)."""
        for folder in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            for file in sorted(os.listdir(folder)):  # noqa: PTH208 (70,000 Path objects cost more than their names)
                yield f"{folder.name}/{file}"

    def _make_folder(self, shard: str) -> None:
        if shard not in self._made:
            (self.root / shard).mkdir(parents=True, exist_ok=True)
            self._made.add(shard)


def _sync_file_system(folder: str) -> None:
    """Flush everything that was written to the folder's file system."""
    sync = _syncfs()
    if sync is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if sync(descriptor) != 0:
            raise OSError(ctypes.get_errno(), f"cannot flush {folder}")
    finally:
        os.close(descriptor)


@cache
def _syncfs() -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
