"""Real samples: adding them, and reading them back in bulk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog

if TYPE_CHECKING:
    import pyarrow as pa


class Sample(NamedTuple):
    """One real record, as a person may want to see it."""

    sample_id: int
    dataset: str
    modality: str
    label: str | None
    text: str | None
    blob: str | None
    source: str
    locator: str
    state: str


def identities(catalog: Catalog, source_ids: pa.Table) -> Iterator[pa.RecordBatch]:
    """Stream (source_id, content_hash) of every sample of some sources."""
    with catalog.given(chosen=source_ids):
        # the registered table must outlive the stream, so the generator holds the block open
        yield from catalog.reader(
            "SELECT source_id, content_hash FROM real_samples WHERE source_id IN (SELECT source_id FROM chosen)",
            batch_rows=65536,
        )


def add(catalog: Catalog, samples: pa.Table) -> None:
    """Insert samples; the table has every column of `real_samples`, in its order."""
    with catalog.given(staged_samples=samples):
        catalog.execute("INSERT INTO real_samples SELECT * FROM staged_samples")


def count_changed(catalog: Catalog, records: pa.Table) -> int:
    """Of records that are there already, count those that now come with another label, id or metadata.

    Args:
        records: source_id, content_hash, occurrence, external_id, label, metadata.
    """
    with catalog.given(staged_records=records):
        return int(catalog.scalar(f"SELECT count(*) FROM staged_records n {_MATCH} WHERE {_DIFFERS}"))


def update_changed(catalog: Catalog, records: pa.Table) -> int:
    """Take over the new label, id and metadata of records that are there already; the content stays.

    Returns:
        How many samples changed.
    """
    with catalog.given(staged_records=records):
        changed = catalog.rows(
            f"""UPDATE real_samples s SET label = n.label, external_id = n.external_id, metadata = n.metadata
                FROM staged_records n
                WHERE s.source_id = n.source_id AND s.content_hash = n.content_hash AND s.occurrence = n.occurrence
                  AND ({_DIFFERS})
                RETURNING s.sample_id""",
            within="(source_id, content_hash, occurrence) IN (SELECT source_id, content_hash, occurrence FROM staged_records)",
        )
        return len(changed)


def digests(catalog: Catalog, dataset_id: int, modality: str, last: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many real samples a dataset has up to an id and beyond it, and of each of the two a hash over ids and contents.

    The hashes of two disjoint sets give that of both by exclusive or. Another version of DuckDB may hash otherwise.
    """
    rows = catalog.rows(
        """SELECT sample_id > ?, count(*), bit_xor(hash(sample_id, content_hash)) FROM real_samples
           WHERE dataset_id = ? AND modality = ? GROUP BY 1""",
        [last, dataset_id, modality],
    )
    found = {beyond: (int(count), int(digest)) for beyond, count, digest in rows}
    return found.get(False, (0, 0)), found.get(True, (0, 0))


def hashes(catalog: Catalog, dataset_id: int, modality: str, after: int) -> pa.Table:
    """The real samples of a dataset beyond an id, in id order: sample_id, content_hash."""
    return catalog.table(
        """SELECT sample_id, content_hash FROM real_samples WHERE dataset_id = ? AND modality = ? AND sample_id > ?
           ORDER BY sample_id""",
        [dataset_id, modality, after],
    )


def count(catalog: Catalog, dataset_id: int, modality: str | None = None) -> int:
    """How many real samples a dataset has."""
    return int(
        catalog.scalar(
            "SELECT count(*) FROM real_samples WHERE dataset_id = ? AND (? IS NULL OR modality = ?)",
            [dataset_id, modality, modality],
        )
    )


def modalities(catalog: Catalog, dataset_id: int) -> list[str]:
    """The modalities of a dataset, most samples first."""
    return [
        row[0]
        for row in catalog.rows(
            "SELECT modality, count(*) FROM real_samples WHERE dataset_id = ? GROUP BY modality ORDER BY 2 DESC, 1",
            [dataset_id],
        )
    ]


_MATCH = "JOIN real_samples s ON s.source_id = n.source_id AND s.content_hash = n.content_hash AND s.occurrence = n.occurrence"
_DIFFERS = (
    "s.label IS DISTINCT FROM n.label OR s.external_id IS DISTINCT FROM n.external_id "
    "OR s.metadata::VARCHAR IS DISTINCT FROM n.metadata::VARCHAR"
)


def by_ids(catalog: Catalog, sample_ids: pa.Table) -> dict[int, Sample]:
    """Fetch samples by id, of either origin.

    Args:
        sample_ids: one column, sample_id.
    """
    with catalog.given(chosen=sample_ids):
        rows = catalog.rows(
            """SELECT sample_id, dataset, modality, label, text, blob, source, locator, state FROM samples
               WHERE sample_id IN (SELECT sample_id FROM chosen)"""
        )
    return {row[0]: Sample(*row) for row in rows}


def texts(catalog: Catalog, sample_ids: pa.Table, *, batch_rows: int = 8192) -> Iterator[pa.RecordBatch]:
    """Stream (sample_id, text) of real samples in the order of the ids that are given, which must rise.

    Args:
        sample_ids: one column, sample_id.
    """
    with catalog.given(chosen=sample_ids):
        yield from catalog.reader(
            "SELECT sample_id, text FROM real_samples WHERE sample_id IN (SELECT sample_id FROM chosen) ORDER BY sample_id",
            batch_rows=batch_rows,
        )


def rows_for_filters(
    catalog: Catalog, dataset_id: int, modalities: Sequence[str], *, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Stream the real samples of some modalities of a dataset, in id order, with the columns of `filters.COLUMNS`."""
    yield from catalog.stream(
        f"""SELECT sample_id, modality, label, text, blob, width, height, size_bytes, external_id, metadata::VARCHAR AS metadata
            FROM real_samples WHERE dataset_id = ? AND modality IN ({", ".join("?" * len(modalities))}) ORDER BY sample_id""",
        [dataset_id, *modalities],
        batch_rows=batch_rows,
    )


def count_kept(catalog: Catalog, dataset_id: int) -> int:
    """How many real samples of a dataset are kept."""
    return int(
        catalog.scalar(
            """SELECT count(*) FROM real_samples s LEFT JOIN current_verdicts v USING (sample_id)
               WHERE s.dataset_id = ? AND v.action IS DISTINCT FROM 'drop'""",
            [dataset_id],
        )
    )


def first_without(catalog: Catalog, dataset_id: int, modalities: Sequence[str], others: pa.Table, *, limit: int) -> list[int]:
    """The first ids of a dataset's samples of some modalities that are not among others (sample_id)."""
    with catalog.given(others=others):
        rows = catalog.rows(
            f"""SELECT sample_id FROM real_samples ANTI JOIN others USING (sample_id)
                WHERE dataset_id = ? AND modality IN ({", ".join("?" * len(modalities))}) ORDER BY sample_id LIMIT ?""",
            [dataset_id, *modalities, limit],
        )
    return [row[0] for row in rows]
