"""Dedupers mark the rows that repeat an earlier one.

A deduper plug-in (`curate/dedupers/<name>.py`, `PLUGIN = TheClass`) keeps the `Deduper` contract: `sketch` makes a fixed-width
summary of each text once (the catalog keeps vectors and hashes, which are sketches already), and `mark` visits the rows
in the order of priority that it is given and points each near-duplicate at a kept row that stands for it.

The law of `mark`: two rows that are both kept, and not both settled, are never similar at the threshold (up to the
recall that the method states); every marked row is similar, by the true measure and not by an estimate, to the very
row that stands for it; that row is itself kept. Where a method has guards, two kept rows may be similar if a guard parts
them, and none parts a marked row from the one that stands for it. Chains are not merged. The marks depend on the rows and
their order alone, not on threads, batches or memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from curate.records import Progress

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Marks:
    """What `mark` found, by row number.

    Attributes:
        stands_for: (n,) int64, the kept row that stands for this one, or -1 where the row is kept or was not in `order`.
        similarity: (n,) float32, the true similarity to that row; 1 where the row is kept.
        compared: how many pairs were verified by the true measure.
        notes: caps, fallbacks and expected recall, one sentence each, for the report.
        parted: (n,) uint8, for each kept row that only a guard keeps apart from a similar kept one, 1 + the guard's place in
            `guards.choice.GUARDS`; None where the method has no guards.
    """

    stands_for: NDArray[np.int64]
    similarity: NDArray[np.float32]
    compared: int
    notes: tuple[str, ...] = ()
    parted: NDArray[np.uint8] | None = None


class TextAccess(Protocol):
    """Texts by row number, wherever they lie."""

    def take(self, rows: NDArray[np.int64]) -> pa.LargeStringArray:
        """The texts of these rows, in this order; rows may repeat."""
        ...


@dataclass(frozen=True, slots=True)
class MarkOptions:
    """How the work is done; nothing here moves a result.

    Attributes:
        threads: cores to use; 0 for all.
        memory_bytes: what the method may hold beside its arguments; more is spilled to `folder`.
        folder: for spilled files, which the method removes; None for the system's temporary folder.
    """

    threads: int = 0
    memory_bytes: int = 2 * 2**30
    folder: Path | None = None


def wants_texts(deduper: Deduper) -> bool:
    """Whether `mark` is to be given the texts: it compares them, or has guards that read them (its `wants_texts` says so)."""
    return deduper.consumes == "text" or bool(getattr(deduper, "wants_texts", False))


class Deduper(Protocol):
    """One idea of what a duplicate is."""

    modalities: ClassVar[frozenset[str]]
    """Names of modalities, or `ANY`."""
    consumes: ClassVar[Literal["hash", "text", "vectors"]]
    """What it compares: (n, 16) uint8 content hashes, texts, or (n, d) float32 unit vectors of an embedder."""
    embedder: ClassVar[str | None]
    """The embedder whose vectors it needs; None where it needs none or takes any."""
    measure: ClassVar[str]
    """The name of its similarity, for people: "Jaccard of word 5-grams"."""
    equals_share_fate: ClassVar[bool]
    """Whether a row stands behind the keeper of an earlier row whose sketch is equal, even if a nearer one was kept since."""
    threshold: float
    settings: dict[str, Any]
    """Every setting that moves a result, the threshold too, JSON-like; the run records it, equal ones mean equal sketches."""

    def __init__(self, *, threshold: float | None = None, **settings: Any) -> None:
        """Check the settings.

        Raises:
            SettingError: a value is outside its range, or a setting is not known.
        """
        ...

    def sketch(self, texts: pa.LargeStringArray, *, threads: int = 0) -> NDArray[Any]:
        """Summarise texts, each on its own, so that they can be sketched in batches and kept.

        Args:
            threads: cores to use; 0 for all.

        Returns:
            (n, width) of a fixed integer type; a method that does not consume texts raises SettingError.
        """
        ...

    def mark(
        self,
        sketches: NDArray[Any],
        order: NDArray[np.int64],
        *,
        settled: int = 0,
        among: bool = True,
        texts: TextAccess | None = None,
        options: MarkOptions = MarkOptions(),
        progress: Progress,
    ) -> Marks:
        """Point each near-duplicate among `order` at the earlier row that stands for it.

        Args:
            sketches: (n, width), by row number; may be a memory map.
            order: (m,) distinct row numbers, those to keep first leading; rows not named take no part.
            settled: so many leading rows of `order` are kept whatever they resemble, and are not compared among themselves.
            among: compare the later rows with each other too. Without, each of them is compared with the settled rows alone: it
                is marked if and only if it resembles one of these, and the others count as kept whatever they resemble.
            texts: the texts behind the sketches, for the methods that consume text.

        Returns:
            Marks over all n rows.
        """
        ...

    def similarity(self, left: Any, right: Any) -> NDArray[np.float32]:
        """The true measure of m pairs, recomputed from the content.

        Args:
            left, right: m texts (LargeStringArray), vectors (m, d) or hashes (m, 16).

        Returns:
            (m,) float32, in [0, 1] for Jaccard and in [-1, 1] for cosine.
        """
        ...

    @classmethod
    def example(cls) -> dict[str, Any]:
        """The settings with which `curate.testing.check_deduper` tries it: none, unless it has no threshold of its own."""
        ...
