"""Readings: what an embedder saw of the texts that it embedded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate.catalog._connection import Catalog

if TYPE_CHECKING:
    import pyarrow as pa

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


def copy_known(catalog: Catalog, slug: str, dataset_id: int) -> None:
    """Give the real samples of a dataset whose text was read elsewhere by this embedder that reading."""
    catalog.execute(
        """INSERT INTO readings
           WITH lacking AS (
               SELECT sample_id, content_hash FROM real_samples ANTI JOIN (FROM readings WHERE slug = $slug) USING (sample_id)
               WHERE dataset_id = $dataset AND text IS NOT NULL
           )
           SELECT $slug, l.sample_id, min(r.tokens), min(r.unknown), min(r.cut)
           FROM lacking l JOIN real_samples s USING (content_hash) JOIN readings r ON r.sample_id = s.sample_id
           WHERE r.slug = $slug GROUP BY l.sample_id""",
        {"slug": slug, "dataset": dataset_id},
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


def unread(catalog: Catalog, slug: str, dataset_id: int, *, share: float) -> tuple[int, int, int]:
    """Of the texts of a dataset that were read: how many, how many unknown for so large a share, and how many cut."""
    row = catalog.row(
        """SELECT count(*), count(*) FILTER (unknown > 0 AND unknown >= ? * tokens), count(*) FILTER (cut > 0)
           FROM readings JOIN real_samples USING (sample_id) WHERE slug = ? AND dataset_id = ?""",
        [share, slug, dataset_id],
    )
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])


def standing_pairs(catalog: Catalog, method: str, settings: str, slug: str) -> Iterator[pa.RecordBatch]:
    """Stream the pairs of texts behind the standing drops of one kind of evidence.

    Columns: duplicate_id, and for the dropped sample (a) and the kept one (b) a_text, a_label, a_tokens, a_unknown, a_cut and
    so on; the last three are NULL where nobody counted.
    """
    sides = ", ".join(
        f"{s}.text AS {s}_text, {s}.label AS {s}_label, "
        f"r{s}.tokens AS {s}_tokens, r{s}.unknown AS {s}_unknown, r{s}.cut AS {s}_cut"
        for s in "ab"
    )
    yield from catalog.stream(
        f"""SELECT d.duplicate_id, {sides}
            FROM (SELECT * FROM duplicates WHERE method = ? AND settings::VARCHAR = ?) d
            SEMI JOIN current_verdicts v ON v.duplicate_id = d.duplicate_id AND v.action = 'drop'
            JOIN real_samples a ON a.sample_id = d.sample_id JOIN real_samples b ON b.sample_id = d.keeper_id
            LEFT JOIN (SELECT * FROM readings WHERE slug = ?) ra ON ra.sample_id = a.sample_id
            LEFT JOIN (SELECT * FROM readings WHERE slug = ?) rb ON rb.sample_id = b.sample_id
            WHERE a.text IS NOT NULL AND b.text IS NOT NULL""",
        [method, settings, slug, slug],
        batch_rows=512,
    )
