"""The real samples that a model's draws are held against, and how near draws come to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curate.catalog import models, vectors
from curate.gates import Real, Reference
from curate.gates.contract.usual import spread
from curate.indexes import Index, index_in_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.catalog import Catalog
    from curate.catalog.splits import Split

_MEASURED_ROWS = 2000


@dataclass(frozen=True)
class Nearest:
    """The nearest real sample of each draw.

    Attributes:
        train, held: (n,) cosine to the nearest training and held-out sample; −1 where there is none.
        ids: (n,) the nearer one of the two, or −1.
    """

    train: NDArray[np.float32]
    held: NDArray[np.float32]
    ids: NDArray[np.int64]


class RealSamples:
    """Vectors and labels of a split's parts, of one modality and one embedder, and an index over each side.

    Args:
        slug: the embedder's, whose vectors are stored.
        threads: for searches.
    """

    def __init__(self, catalog: Catalog, split: Split, modality: str, slug: str, *, threads: int) -> None:
        self._train_ids, self.train = _part(catalog, split, ["train"], modality, slug)
        self._held_ids, self.held = _part(catalog, split, ["validation", "test"], modality, slug)
        self._train_index = _index(self._train_ids, self.train, threads)
        self._held_index = _index(self._held_ids, self.held, threads)

    def reference(self, embedder: str, accepted: NDArray[np.float32]) -> Reference:
        """What gates are built from; what is usual is measured on at most 2,000 training samples, evenly spaced.

        Args:
            embedder: its name, for the report.
            accepted: vectors of draws that were accepted before.
        """
        measured = self.train.vectors[spread(len(self._train_ids), _MEASURED_ROWS)]
        own, held = np.zeros(0, np.float32), np.zeros(0, np.float32)
        if self._train_index is not None and len(self._train_ids) > 1:
            own = self._train_index.search(measured, 2)[1][:, 1]
        if self._held_index is not None:
            held = self._held_index.search(measured, 1)[1][:, 0]
        return Reference(embedder, self.train, self.held, accepted, own, held)

    def nearest(self, drawn: NDArray[np.float32]) -> Nearest:
        """Find the nearest real samples of vectors (n, d)."""
        train_ids, train = _search(self._train_index, drawn)
        held_ids, held = _search(self._held_index, drawn)
        return Nearest(train, held, np.where(train >= held, train_ids, held_ids))


def _search(index: Index | None, drawn: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    if index is None:
        return np.full(len(drawn), -1, np.int64), np.full(len(drawn), -1.0, np.float32)
    ids, similarities = index.search(drawn, 1)
    return ids[:, 0], similarities[:, 0]


def _index(ids: NDArray[np.int64], real: Real, threads: int) -> Index | None:
    return index_in_memory("flat", ids, real.vectors, threads=threads) if len(ids) else None


def _part(catalog: Catalog, split: Split, parts: Sequence[str], modality: str, slug: str) -> tuple[NDArray[np.int64], Real]:
    labels: dict[int, str | None] = {}
    for part in parts:
        table = models.members(catalog, split, part)
        columns = (table[name].to_pylist() for name in ("sample_id", "label", "modality"))
        labels.update((sample, label) for sample, label, of in zip(*columns, strict=True) if of == modality)
    ids, matrix = vectors.load(catalog, slug, sample_ids=np.array(sorted(labels), np.int64))
    return ids, Real(matrix, [labels[int(sample)] for sample in ids])
