"""What an index is filled from: the vectors of an embedder, or the texts, of one dataset or of all, real and synthetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from curate.catalog._connection import Catalog
from curate.catalog.vectors import _id_table, _table

TEXTS_A_BATCH = 8192


class Extent(NamedTuple):
    """What a set of entries can be told from another one by, without reading it; an id never gets another content."""

    entries: int
    ids_hash: int


def extent(catalog: Catalog, slug: str | None, dataset_id: int | None) -> Extent:
    """How many entries there are, and a hash of their ids.

    Args:
        slug: the embedder whose vectors count; None for texts.
        dataset_id: of one dataset; None for all.
    """
    row = catalog.row(
        f"SELECT count(*), coalesce(bit_xor(hash(sample_id)), 0) FROM {_entries(slug)} WHERE ? IS NULL OR dataset_id = ?",
        [dataset_id, dataset_id],
    )
    assert row is not None
    return Extent(*map(int, row))


def entry_ids(catalog: Catalog, slug: str | None, dataset_id: int | None) -> NDArray[np.int64]:
    """(n,) the ids of all entries, rising."""
    found = catalog.table(
        f"SELECT sample_id FROM {_entries(slug)} WHERE ? IS NULL OR dataset_id = ? ORDER BY sample_id", [dataset_id, dataset_id]
    )
    result: NDArray[np.int64] = found["sample_id"].to_numpy().astype(np.int64)
    return result


def entry_texts(catalog: Catalog, sample_ids: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], list[str]]]:
    """Ids and texts of some samples, batch by batch."""
    for start in range(0, len(sample_ids), TEXTS_A_BATCH):
        with catalog.given(wanted=_id_table(sample_ids[start : start + TEXTS_A_BATCH])):
            found = catalog.table(f"SELECT sample_id, text FROM {_TEXTS} SEMI JOIN wanted USING (sample_id)")
        yield found["sample_id"].to_numpy().astype(np.int64), found["text"].to_pylist()


_TEXTS = """(SELECT sample_id, dataset_id, text FROM real_samples WHERE text IS NOT NULL
             UNION ALL SELECT sample_id, dataset_id, text FROM synthetic_samples WHERE text IS NOT NULL)"""
_SAMPLES = "(SELECT sample_id, dataset_id FROM real_samples UNION ALL SELECT sample_id, dataset_id FROM synthetic_samples)"


def _entries(slug: str | None) -> str:
    return _TEXTS if slug is None else f"{_SAMPLES} SEMI JOIN {_table(slug)} USING (sample_id)"
