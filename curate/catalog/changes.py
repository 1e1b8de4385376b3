"""Changes: what an update took over for samples that were there already, with what it was before."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog

if TYPE_CHECKING:
    import pyarrow as pa

FIELDS = ("label", "external_id", "metadata")
EXAMPLES = 3


class Example(NamedTuple):
    """One change; the values are the first 80 characters of what was and what is."""

    sample_id: int
    old: str | None
    new: str | None


class FieldChange(NamedTuple):
    """What a run changed in one field: in how many samples, and the first few."""

    field: str
    samples: int
    examples: tuple[Example, ...]


# A field that the run was not told to read keeps its value.
_STAGED = """
    SELECT s.sample_id, s.label AS old_label, CASE WHEN n.label_told THEN n.label ELSE s.label END AS new_label,
           s.external_id AS old_external_id, CASE WHEN n.id_told THEN n.external_id ELSE s.external_id END AS new_external_id,
           s.metadata::VARCHAR AS old_metadata, n.metadata AS new_metadata
    FROM staged_records n
    JOIN real_samples s ON s.source_id = n.source_id AND s.content_hash = n.content_hash AND s.occurrence = n.occurrence"""
_DIFFERS = " OR ".join(f"old_{field} IS DISTINCT FROM new_{field}" for field in FIELDS)


def count(catalog: Catalog, records: pa.Table) -> int:
    """Of records that are there already, count those that now come with another label, id or metadata.

    Args:
        records: source_id, content_hash, occurrence, external_id, label, metadata, and whether the label and the id were
            looked for in the record (label_told, id_told); one that was not is no difference.
    """
    with catalog.given(staged_records=records):
        return int(catalog.scalar(f"SELECT count(*) FROM ({_STAGED}) WHERE {_DIFFERS}"))


def take_over(catalog: Catalog, run_id: int, records: pa.Table) -> int:
    """Take over the new label, id and metadata of records that are there already, and note what was there; the content stays.

    Args:
        records: as for `count`.

    Returns:
        How many samples changed.
    """
    with catalog.given(staged_records=records):
        rows = catalog.table(f"SELECT * FROM ({_STAGED}) WHERE {_DIFFERS}")
    with catalog.given(staged_changes=rows):
        for field in FIELDS:
            catalog.execute(
                f"""INSERT INTO changes (run_id, sample_id, field, old, new)
                    SELECT ?, sample_id, '{field}', old_{field}, new_{field} FROM staged_changes
                    WHERE old_{field} IS DISTINCT FROM new_{field} ORDER BY sample_id""",
                [run_id],
            )
        catalog.execute(
            """UPDATE real_samples SET label = n.new_label, external_id = n.new_external_id, metadata = n.new_metadata
               FROM staged_changes n WHERE real_samples.sample_id = n.sample_id""",
            within="sample_id IN (SELECT sample_id FROM staged_changes)",
        )
    found: int = rows.num_rows
    return found


def made_by(catalog: Catalog, run_id: int) -> tuple[FieldChange, ...]:
    """What a run changed, field by field."""
    found = []
    for field in FIELDS:
        total = int(catalog.scalar("SELECT count(*) FROM changes WHERE run_id = ? AND field = ?", [run_id, field]))
        if total:
            rows = catalog.rows(
                """SELECT sample_id, old[:80], new[:80] FROM changes WHERE run_id = ? AND field = ?
                   ORDER BY change_id LIMIT ?""",
                [run_id, field, EXAMPLES],
            )
            found.append(FieldChange(field, total, tuple(Example(*row) for row in rows)))
    return tuple(found)


def take_back(catalog: Catalog, run_id: int, by_run: int) -> tuple[int, int]:
    """Give samples the values back that a run changed, where they still are what it made of them.

    Args:
        by_run: the run that takes them back, which is noted as having changed them.

    Returns:
        How many values were taken back, and how many were left because something changed them since.
    """
    total = int(catalog.scalar("SELECT count(*) FROM changes WHERE run_id = ?", [run_id]))
    done = 0
    for field in FIELDS:
        rows = catalog.table(
            f"""SELECT s.sample_id, c.new AS old_value, c.old AS new_value FROM changes c JOIN real_samples s USING (sample_id)
                WHERE c.run_id = ? AND c.field = '{field}' AND s.{field}::VARCHAR IS NOT DISTINCT FROM c.new
                ORDER BY s.sample_id""",
            [run_id],
        )
        if not rows.num_rows:
            continue
        with catalog.given(staged_values=rows):
            catalog.execute(
                f"""INSERT INTO changes (run_id, sample_id, field, old, new)
                    SELECT ?, sample_id, '{field}', old_value, new_value FROM staged_values""",
                [by_run],
            )
            catalog.execute(
                f"""UPDATE real_samples SET {field} = n.new_value FROM staged_values n
                    WHERE real_samples.sample_id = n.sample_id""",
                within="sample_id IN (SELECT sample_id FROM staged_values)",
            )
        done += rows.num_rows
    return done, total - done
