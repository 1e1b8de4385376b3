"""Indexes answer which vectors, or which texts, come nearest to a question.

An index plug-in (`curate/indexes/<name>.py`, `PLUGIN = TheClass`) keeps the `Index` contract: a FAISS file, a table in a
database, a keyword index. It is a cache of what the catalog holds and never the only place of anything. Its caller opens it,
compares its `stamp` with the catalog, brings it up to date by `remove` and `upsert`, and calls `commit` with the new stamp.

What is told of an index in `capabilities` is what its caller relies on; a store that cannot filter or cannot keep anything
says so there and is used all the same. `curate.toml` chooses one under `[index]`, `--index NAME` for one search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

from curate import plugins

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a kind of index can do.

    Attributes:
        exact: its hits are those of a full scan.
        persistent: what was committed is there when the same location is opened again.
        filters: `search` keeps to the ids in `filter`; without it the caller reads further down the list of hits.
        text: it holds texts and is asked in words; without it, it holds vectors and is asked with vectors.
    """

    exact: bool
    persistent: bool
    filters: bool
    text: bool = False


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How an index is opened.

    Attributes:
        collection: which set of entries, such as "minilm/support/flat"; one location may hold several sets.
        dimension: of the vectors; 0 for texts.
        threads: cores it may use; 0 for every one.
        options: the plug-in's own settings, from `[index.options]` in `curate.toml`.
    """

    collection: str = "entries"
    dimension: int = 0
    threads: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entries:
    """What is put into an index: an id and a vector, or a text, each.

    Attributes:
        ids: (n,) int64, distinct.
        vectors: (n, dimension) float32, each of length 1; may be a memory map. None for an index of texts.
        texts: n texts; None for an index of vectors.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32] | None = None
    texts: Sequence[str] | None = None


class Index(Protocol):
    """One way to find what is near."""

    capabilities: ClassVar[Capabilities]

    @classmethod
    def open(cls, location: Path | str | None, settings: IndexSettings) -> Self:
        """Open what was committed there, or start an empty index.

        Args:
            location: a folder or an address, of the plug-in's kind; None to keep nothing.

        Raises:
            SettingError: an option is unknown or out of range.
            WorkError: the location cannot be reached. A damaged cache is no error: the index opens empty.
        """
        ...

    @property
    def description(self) -> str:
        """One line for a person: "IVF, 1,264 cells, 16 probed"."""
        ...

    @property
    def stamp(self) -> str | None:
        """What the last `commit` was given; None where there was none or something was changed since."""
        ...

    def count(self) -> int:
        """How many entries there are."""
        ...

    def ids(self) -> NDArray[np.int64]:
        """(n,) the ids of all entries, in any order."""
        ...

    def upsert(self, entries: Entries) -> None:
        """Add entries; one whose id is there already is replaced.

        Raises:
            SettingError: not one distinct id and one vector of the right width, or one text, each.
        """
        ...

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove entries; ids that are not there are passed over."""
        ...

    def search(
        self, queries: NDArray[np.float32] | Sequence[str], k: int, *, filter: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k nearest entries to each question.

        Args:
            queries: (q, dimension) float32, each of length 1; or q texts.
            filter: (m,) ids that may be answered, however few; None for all. Given only where `capabilities.filters`.

        Returns:
            ids (q, k) int64, -1 where there are fewer than k; and scores (q, k) float32, best first, ties by the lower id:
            cosines of vectors, or whatever rates texts.

        Raises:
            SettingError: the queries are of another width or kind, or k is below 1.
        """
        ...

    def commit(self, stamp: str) -> None:
        """Make what was done last, under the caller's words for what the index now holds.

        Raises:
            WorkError: it cannot be written; the index in hand still answers.
        """
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...

    @classmethod
    def example(cls, folder: Path) -> tuple[Path | str | None, IndexSettings]:
        """A location in an empty folder and settings for 16 dimensions, with which the contract is tested."""
        ...


def index_in_memory(name: str, ids: NDArray[np.int64], vectors: NDArray[np.float32], *, threads: int = 0) -> Index:
    """An index by some plug-in that holds some vectors and is kept nowhere."""
    plugin = plugins.load("indexes", name)
    index = cast(Index, plugin.open(None, IndexSettings(dimension=vectors.shape[1], threads=threads)))
    index.upsert(Entries(ids, vectors))
    return index
