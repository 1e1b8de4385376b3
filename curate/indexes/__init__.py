"""Indexes answer nearest-neighbour queries over vectors.

An index plug-in (`curate/indexes/<name>.py`, `PLUGIN = TheClass`) keeps the `Index` contract. An index is a cache: built from
the catalog's vectors, saved with a manifest that holds its file's SHA-256, and thrown away on any mismatch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Index(Protocol):
    """One way to find near vectors."""

    exact: ClassVar[bool]
    """Whether the answers are those of a full scan."""
    description: str
    """One line for a person: "IVF, 1,264 cells, 16 probed"."""

    @classmethod
    def build(cls, vectors: NDArray[np.float32], ids: NDArray[np.int64], *, threads: int = 0) -> Self:
        """Index unit vectors.

        Args:
            vectors: (n, d), each of length 1; may be a memory map.
            ids: (n,) distinct, what a hit is called.
        """
        ...

    def search(
        self, queries: NDArray[np.float32], k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k nearest by cosine.

        Args:
            queries: (q, d) unit vectors.
            allowed: ids that may be answered; None for all.

        Returns:
            ids (q, k) int64, -1 where there are fewer than k, and cosines (q, k) float32, best first; ties by the lower id.
        """
        ...

    def save(self, path: Path) -> None:
        """Write one file; the caller makes it atomic."""
        ...

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; the caller has checked its hash."""
        ...
