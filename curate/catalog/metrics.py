"""Metrics: measured figures of a model, and the samples that they are measured on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog

if TYPE_CHECKING:
    import pyarrow as pa


class MetricRow(NamedTuple):
    """One figure; `label` None is over all labels, `reference` is the same measure of real samples."""

    name: str
    label: str | None
    value: float | None
    spread: float | None
    reference: float | None
    sizes: Mapping[str, int]
    definition: str
    source: str


def accepted(catalog: Catalog, model_id: int) -> pa.Table:
    """The accepted samples of a model, by id.

    Returns:
        sample_id, modality, label, text, blob, content_hash.
    """
    return catalog.table(
        """SELECT sample_id, modality, label, text, blob, content_hash FROM synthetic_samples
           WHERE model_id = ? AND status = 'accepted' ORDER BY sample_id""",
        [model_id],
    )


def replace(catalog: Catalog, model_id: int, run_id: int, rows: Sequence[MetricRow]) -> None:
    """Put the rows of a new evaluation in the place of the model's older ones; call it inside a transaction."""
    import pyarrow as pa

    columns = {
        "name": pa.string(),
        "label": pa.string(),
        "value": pa.float64(),
        "spread": pa.float64(),
        "reference": pa.float64(),
        "sizes": pa.string(),
        "definition": pa.string(),
        "source": pa.string(),
    }
    values = [row._replace(sizes=json.dumps(dict(row.sizes))) for row in rows]  # type: ignore[arg-type]
    staged = pa.table({name: pa.array([getattr(row, name) for row in values], kind) for name, kind in columns.items()})
    catalog.execute("DELETE FROM metrics WHERE model_id = ?", [model_id], within=f"model_id = {model_id}")
    with catalog.given(staged_metrics=staged):
        named = ", ".join(columns)
        catalog.execute(
            f"INSERT INTO metrics (run_id, model_id, {named}) SELECT ?, ?, {named} FROM staged_metrics", [run_id, model_id]
        )


def of_model(catalog: Catalog, model_id: int) -> list[MetricRow]:
    """The figures of a model's newest evaluation, in the order they were measured."""
    rows = catalog.rows(
        """SELECT name, label, value, spread, reference, sizes::VARCHAR, definition, source FROM metrics
           WHERE model_id = ? ORDER BY metric_id""",
        [model_id],
    )
    return [
        MetricRow(name, label, value, spread, reference, json.loads(sizes), definition, source)
        for name, label, value, spread, reference, sizes, definition, source in rows
    ]
