"""Readings: what an embedder saw of the texts that it embedded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curate.catalog._connection import Catalog

UNREAD = -1
"""Stands for the counts of a text of which nothing is known."""


def add(catalog: Catalog, slug: str, sample_ids: NDArray[np.int64], counts: NDArray[np.int32]) -> None:
    """Store readings.

    Args:
        sample_ids: (n,) none of which has a reading by this embedder.
        counts: (n, 3) tokens seen, unknown and cut; see `curate.embedders.TextReader`.
    """
    import pyarrow as pa

    columns = {"sample_id": sample_ids, "tokens": counts[:, 0], "unknown": counts[:, 1], "cut": counts[:, 2]}
    with catalog.given(staged_readings=pa.table({name: pa.array(column) for name, column in columns.items()})):
        catalog.execute(
            "INSERT INTO readings SELECT ?, sample_id, tokens, unknown, cut FROM staged_readings WHERE tokens >= 0", [slug]
        )


def load(catalog: Catalog, slug: str, sample_ids: NDArray[np.int64]) -> NDArray[np.int32]:
    """The readings of samples, (n, 3) in the order of the ids, which rise; `UNREAD` where there is none."""
    import pyarrow as pa

    out = np.full((len(sample_ids), 3), UNREAD, np.int32)
    with catalog.given(wanted=pa.table({"sample_id": pa.array(sample_ids)})):
        found = catalog.table(
            "SELECT sample_id, tokens, unknown, cut FROM readings SEMI JOIN wanted USING (sample_id) WHERE slug = ?", [slug]
        )
    rows = np.searchsorted(sample_ids, found["sample_id"].to_numpy())
    out[rows] = np.stack([found[name].to_numpy() for name in ("tokens", "unknown", "cut")], axis=1)
    return out


def label_numbers(catalog: Catalog, sample_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) a number for the label of each sample, in the order of the ids, which rise; -1 where there is none."""
    import pyarrow as pa

    out = np.full(len(sample_ids), -1, np.int64)
    with catalog.given(wanted=pa.table({"sample_id": pa.array(sample_ids)})):
        found = catalog.table(
            """SELECT sample_id, dense_rank() OVER (ORDER BY label) AS number
               FROM real_samples SEMI JOIN wanted USING (sample_id) WHERE label IS NOT NULL"""
        )
    out[np.searchsorted(sample_ids, found["sample_id"].to_numpy())] = found["number"].to_numpy()
    return out
