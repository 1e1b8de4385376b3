"""What every index over FAISS does alike: it opens a hashed snapshot, checks arrays, and commits.

A kind of index says how it is built, added to, thinned out and searched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from curate.errors import SettingError
from curate.indexes import Capabilities, Entries, IndexSettings
from curate.indexes.faiss_files.arrays import Hits, check_entries, check_queries, faiss_threads, no_hits
from curate.indexes.faiss_files.snapshot import load_snapshot, save_snapshot


class FaissIndex(ABC):
    """An index that lies in one FAISS file; see `curate.indexes.Index` for what its methods promise."""

    capabilities: ClassVar[Capabilities]
    options: ClassVar[dict[str, tuple[int, int, int]]] = {}
    """The kind's own settings: default, lowest and highest whole number of each."""

    def __init__(self, folder: Path | None, settings: IndexSettings) -> None:
        self._folder = folder
        self._dimension = settings.dimension
        self._threads = settings.threads
        self._chosen = _checked_options(self.options, settings)
        self._native: Any = None  # None while it is empty
        self._stamp: str | None = None

    @classmethod
    def open(cls, location: Path | str | None, settings: IndexSettings) -> Self:
        """Open a snapshot, or start an empty index; damage found by the hash makes it empty."""
        index = cls(None if location is None else Path(location) / settings.collection, settings)
        found = load_snapshot(index._folder, _read) if index._folder is not None else None
        if found is not None and found[1] == {**index._identity(), "stamp": found[1].get("stamp")}:
            index._native, index._stamp = found[0] if found[0].ntotal else None, found[1]["stamp"]
        return index

    @classmethod
    def example(cls, folder: Path) -> tuple[Path | str | None, IndexSettings]:
        """A location and settings for tests of the contract."""
        return folder, IndexSettings(collection="example", dimension=16, threads=1)

    @property
    def stamp(self) -> str | None:
        """What the last commit was given; None where something was changed since."""
        return self._stamp

    def count(self) -> int:
        """How many entries there are."""
        return len(self.ids())

    def upsert(self, entries: Entries) -> None:
        """Add or replace entries."""
        vectors = check_entries(entries, self._dimension)
        ids = np.asarray(entries.ids, np.int64)
        if not len(ids):
            return
        self._stamp = None
        with faiss_threads(self._threads):
            if self.count():
                self._add(ids, vectors)
            else:
                self._build(ids, vectors)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove entries."""
        there = np.intersect1d(self.ids(), np.asarray(ids, np.int64))
        if not len(there):
            return
        self._stamp = None
        if len(there) == self.count():
            self._native = None
        else:
            self._remove(there)

    def search(self, queries: NDArray[np.float32] | Sequence[str], k: int, *, filter: NDArray[np.int64] | None = None) -> Hits:
        """Find the k nearest by cosine."""
        plain = check_queries(queries, self._dimension, k)
        allowed = None
        if filter is not None:
            own = self.ids()
            allowed = own[np.isin(own, filter)]
        if not len(plain) or self._native is None or (allowed is not None and not len(allowed)):
            return no_hits(len(plain), k)
        with faiss_threads(self._threads):
            return self._search(plain, k, allowed)

    def commit(self, stamp: str) -> None:
        """Write a snapshot, where there is a place for it."""
        self._stamp = stamp
        if self._folder is not None:
            about = {**self._identity(), "stamp": stamp}
            native = self._native if self._native is not None else faiss.IndexFlatIP(self._dimension)
            save_snapshot(self._folder, lambda path: faiss.write_index(native, str(path)), about)

    def close(self) -> None:
        """Let go of the memory."""
        self._native = None

    def _identity(self) -> dict[str, Any]:
        """What a snapshot must have in common with this index to be taken for it."""
        return {"kind": type(self).__name__, "dimension": self._dimension, "options": self._chosen}

    @property
    @abstractmethod
    def description(self) -> str:
        """One line for a person."""

    @abstractmethod
    def ids(self) -> NDArray[np.int64]:
        """The ids of all entries."""

    @abstractmethod
    def _build(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Index these vectors alone."""

    @abstractmethod
    def _add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add to what is there, replacing equal ids."""

    @abstractmethod
    def _remove(self, ids: NDArray[np.int64]) -> None:
        """Remove ids that are there, and are not all."""

    @abstractmethod
    def _search(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None) -> Hits:
        """Search a set that is not empty; `allowed` are ids that are in it, at least one."""


def merged(
    ids: NDArray[np.int64], vectors: NDArray[np.float32], new_ids: NDArray[np.int64], new_vectors: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Old entries, without those that the new ones replace, and the new ones."""
    kept = ~np.isin(ids, new_ids)
    return np.concatenate([ids[kept], new_ids]), np.concatenate([vectors[kept], new_vectors])


def flat_vectors(index: Any) -> NDArray[np.float32]:
    """(n, d) the vectors that a flat FAISS index holds, not copied."""
    flat: Any = faiss.downcast_index(index)
    size = flat.ntotal * flat.d
    return faiss.rev_swig_ptr(flat.get_xb(), size).reshape(-1, flat.d) if size else np.empty((0, flat.d), np.float32)


def _read(path: Path) -> Any:
    return faiss.read_index(str(path))


def _checked_options(known: dict[str, tuple[int, int, int]], settings: IndexSettings) -> dict[str, int]:
    """Every option with its value.

    Raises:
        SettingError: one is unknown, or no whole number in its range.
    """
    for name, value in settings.options.items():
        if name not in known:
            hint = "one of: " + ", ".join(known) if known else "it has none"
            raise SettingError(f"the index has no option {name!r}", hint=hint)
        _, low, high = known[name]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise SettingError(f"the index option {name} is a whole number from {low} to {high:,}, got {value!r}")
    return {name: int(settings.options.get(name, default)) for name, (default, _, _) in known.items()}
