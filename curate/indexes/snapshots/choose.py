"""Which index a set of a given size gets."""

from __future__ import annotations

FLAT_UP_TO = 200_000
"""A full scan of so many vectors of 384 dimensions takes some 20 ms, less than it takes to read them from disk."""


def choose(n: int) -> str:
    """The index plug-in for n vectors: exact where a full scan is quick enough, approximate above."""
    return "flat" if n <= FLAT_UP_TO else "ivf"
