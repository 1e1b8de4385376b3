"""What an export reads: its rows in order, and the figures for its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog
from curate.catalog.datasets import Dataset
from curate.catalog.splits import PARTS, Resolved, Split
from curate.catalog.verdicts import CAUSE

if TYPE_CHECKING:
    import pyarrow as pa


class Drawn(NamedTuple):
    """A model whose accepted samples may go into an export, and how many it has.

    `is_clean` says that it learned from a version of the exported split, and from no sample that is held out in it.
    """

    model_id: int
    name: str
    family: str
    trained_on: str
    samples: int
    is_clean: bool


class Origin(NamedTuple):
    """How a dataset came to be what it is."""

    read: int
    rejected: int
    samples: int
    kept: int
    dropped: dict[str, int]


def real_rows(catalog: Catalog, what: Resolved, *, batch_rows: int = 1024) -> Iterator[pa.RecordBatch]:
    """Stream the real rows in the order of their ids.

    Returns:
        sample_id, part, label, text, blob, content_hash, uri, root, locator, external_id, metadata.
    """
    chosen, parameters = _chosen(what)
    yield from catalog.stream(
        f"""SELECT s.sample_id, {"m.part" if what.split else "NULL::VARCHAR"} AS part, s.label, s.text, s.blob, s.content_hash,
                   src.uri, src.root, s.locator, s.external_id, s.metadata::VARCHAR AS metadata
            FROM {chosen} JOIN sources src USING (source_id) ORDER BY s.sample_id""",
        parameters,
        batch_rows=batch_rows,
    )


def real_counts(catalog: Catalog, what: Resolved) -> list[tuple[str | None, str, str | None, int]]:
    """Count the real rows by (part, modality, label)."""
    chosen, parameters = _chosen(what)
    part = "m.part" if what.split else "NULL::VARCHAR"
    return catalog.rows(f"SELECT {part}, s.modality, s.label, count(*) FROM {chosen} GROUP BY ALL", parameters)


def real_metadata(catalog: Catalog, what: Resolved) -> Iterator[pa.RecordBatch]:
    """Stream the metadata of the real rows that have any."""
    chosen, parameters = _chosen(what)
    yield from catalog.stream(f"SELECT s.metadata::VARCHAR AS metadata FROM {chosen} WHERE s.metadata IS NOT NULL", parameters)


def digest(catalog: Catalog, what: Resolved) -> str:
    """A figure that changes with any real row of an export: with its part, label, content, ids, place or metadata."""
    chosen, parameters = _chosen(what)
    values = [
        "s.sample_id", "m.part" if what.split else "NULL", "s.label", "s.content_hash", "src.uri", "src.root", "s.locator",
        "s.external_id", "s.metadata::VARCHAR",
    ]  # fmt: skip
    row = " || chr(31) || ".join(f"coalesce(({value})::VARCHAR, chr(30))" for value in values)
    counted = catalog.row(
        f"""SELECT count(*), bit_xor(md5_number_lower(row)), bit_xor(md5_number_upper(row))
            FROM (SELECT {row} AS row FROM {chosen} JOIN sources src USING (source_id))""",
        parameters,
    )
    return " ".join(map(str, counted or ()))


def synthetic_digest(catalog: Catalog) -> str:
    """The same of the chosen synthetic rows."""
    counted = catalog.row(
        """SELECT count(*), bit_xor(md5_number_lower(row)), bit_xor(md5_number_upper(row))
           FROM (SELECT sample_id || chr(31) || coalesce(label, chr(30)) || chr(31) || content_hash || chr(31)
                        || coalesce(metadata::VARCHAR, chr(30)) AS row
                 FROM chosen_synthetic JOIN synthetic_samples USING (sample_id))"""
    )
    return " ".join(map(str, counted or ()))


def drawn_models(catalog: Catalog, split: Split) -> list[Drawn]:
    """The trained models that learned from a split's dataset, by name, with how many accepted samples each has."""
    rows = catalog.rows(
        """WITH sources AS (
               SELECT o.model_id, o.split_id, o.part, p.dataset_id, p.name AS split,
                      d.name || '@' || p.name || ':' || p.version || '/' || o.part AS reference
               FROM model_sources o JOIN splits p USING (split_id) JOIN datasets d ON d.dataset_id = o.dataset_id),
           unclean AS (
               SELECT model_id FROM sources WHERE dataset_id = $dataset AND split <> $name
               UNION
               SELECT o.model_id FROM sources o
               JOIN split_members learned ON learned.split_id = o.split_id AND learned.part = o.part
               JOIN split_members held ON held.sample_id = learned.sample_id
               WHERE held.split_id = $split AND held.part <> 'train')
           SELECT m.model_id, m.name, m.family,
                  (SELECT string_agg(reference, ' + ' ORDER BY reference) FROM sources o WHERE o.model_id = m.model_id),
                  (SELECT count(*) FROM synthetic_samples s WHERE s.model_id = m.model_id AND s.status = 'accepted'),
                  m.model_id NOT IN (SELECT model_id FROM unclean)
           FROM models m WHERE m.model_id IN (SELECT model_id FROM sources WHERE dataset_id = $dataset) ORDER BY m.name""",
        {"name": split.name, "split": split.split_id, "dataset": split.dataset_id},
    )
    return [Drawn(*row) for row in rows]


def choose_synthetic(catalog: Catalog, model_ids: list[int], limits: Mapping[str | None, int]) -> None:
    """Put the first accepted samples of these models by id, up to a limit for each label, into `chosen_synthetic`."""
    import pyarrow as pa

    table = pa.table({"label": pa.array(list(limits), pa.string()), "most": pa.array(list(limits.values()), pa.int64())})
    models = pa.table({"model_id": pa.array(model_ids, pa.int32())})
    with catalog.given(label_limits=table, chosen_models=models):
        catalog.execute(
            """CREATE OR REPLACE TEMP TABLE chosen_synthetic AS
               SELECT sample_id FROM (
                   SELECT s.sample_id, l.most, row_number() OVER (PARTITION BY s.label ORDER BY s.sample_id) AS place
                   FROM synthetic_samples s JOIN chosen_models USING (model_id)
                   JOIN label_limits l ON l.label IS NOT DISTINCT FROM s.label
                   WHERE s.status = 'accepted') WHERE place <= most"""
        )


def synthetic_counts(catalog: Catalog) -> list[tuple[str, str | None, str, int]]:
    """Count the chosen synthetic rows by (modality, label, model)."""
    return catalog.rows(
        """SELECT s.modality, s.label, m.name, count(*) FROM chosen_synthetic JOIN synthetic_samples s USING (sample_id)
           JOIN models m USING (model_id) GROUP BY ALL"""
    )


def synthetic_batch(catalog: Catalog, after: int, *, batch_rows: int = 1024) -> pa.Table:
    """The chosen synthetic rows with ids above `after`, in order.

    A cursor of its own would not see the temporary table, so the rows are read in pages.

    Returns:
        sample_id, label, text, blob, content_hash, draw_index, model, seed, metadata.
    """
    return catalog.table(
        f"""SELECT s.sample_id, s.label, s.text, s.blob, s.content_hash, s.draw_index, m.name AS model, s.seed,
                  s.metadata::VARCHAR AS metadata
           FROM chosen_synthetic c JOIN synthetic_samples s USING (sample_id) JOIN models m USING (model_id)
           WHERE s.sample_id > ? ORDER BY s.sample_id LIMIT {int(batch_rows)}""",
        [after],
    )


def origin(catalog: Catalog, dataset: Dataset) -> Origin:
    """Count what was read, rejected, dropped (by method, or by whom) and kept of a dataset."""
    read, rejected = catalog.rows(
        "SELECT coalesce(sum(read), 0)::BIGINT, coalesce(sum(rejected), 0)::BIGINT FROM sources WHERE dataset_id = ?",
        [dataset.dataset_id],
    )[0]
    total = int(catalog.scalar("SELECT count(*) FROM real_samples WHERE dataset_id = ?", [dataset.dataset_id]))
    dropped = dict(
        catalog.rows(
            f"""SELECT {CAUSE}, count(*) FROM real_samples s JOIN current_verdicts v USING (sample_id)
               WHERE s.dataset_id = ? AND v.action = 'drop' GROUP BY 1 ORDER BY 1""",
            [dataset.dataset_id],
        )
    )
    return Origin(int(read), int(rejected), total, total - sum(dropped.values()), dropped)


def command(catalog: Catalog, run_id: int) -> str:
    """The command line of a run."""
    return str(catalog.scalar("SELECT command FROM runs WHERE run_id = ?", [run_id]))


def parts_of(what: Resolved, counted: list[tuple[str | None, str, str | None, int]]) -> tuple[str | None, ...]:
    """The parts of what is exported, in the order train, validation, test; (None,) without a split."""
    if what.split is None:
        return (None,)
    present = {row[0] for row in counted}
    return tuple(part for part in PARTS if part in present)


def _chosen(what: Resolved) -> tuple[str, list[object]]:
    if what.split is None:
        return (
            """(SELECT * FROM real_samples r WHERE r.dataset_id = ? AND NOT EXISTS (
                    SELECT 1 FROM current_verdicts v WHERE v.sample_id = r.sample_id AND v.action = 'drop')) s""",
            [what.dataset.dataset_id],
        )
    members = "(SELECT * FROM split_members WHERE split_id = ? AND (? IS NULL OR part = ?)) m"
    return f"{members} JOIN real_samples s USING (sample_id)", [what.split.split_id, what.part, what.part]
