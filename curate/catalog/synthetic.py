"""Synthetic samples: drawn records, in a table of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.catalog._connection import Catalog

if TYPE_CHECKING:
    import pyarrow as pa


class DrawnRow(NamedTuple):
    """What a draw depends on, and what came of it."""

    sample_id: int
    model_id: int
    seed: int
    draw_index: int
    requested_label: str | None
    settings: dict[str, Any]
    content_hash: str
    text: str | None
    blob: str | None
    status: str


_COLUMNS = "sample_id, model_id, seed, draw_index, requested_label, settings::VARCHAR, content_hash, text, blob, status"


def drawn(catalog: Catalog, model_id: int) -> list[DrawnRow]:
    """Every draw of a model, oldest first."""
    return [
        _row(r)
        for r in catalog.rows(f"SELECT {_COLUMNS} FROM synthetic_samples WHERE model_id = ? ORDER BY sample_id", [model_id])
    ]


def by_ids(catalog: Catalog, sample_ids: Sequence[int]) -> list[DrawnRow]:
    """Synthetic samples by id; ids that are none are left out."""
    return [
        _row(r)
        for r in catalog.rows(
            f"SELECT {_COLUMNS} FROM synthetic_samples WHERE sample_id IN (SELECT unnest(?)) ORDER BY sample_id",
            [list(sample_ids)],
        )
    ]


def add(catalog: Catalog, samples: pa.Table) -> None:
    """Insert drawn samples; the table has every column of `synthetic_samples` but the last, in its order."""
    with catalog.given(staged_drawn=samples):
        columns = ", ".join(samples.column_names)
        catalog.execute(f"INSERT INTO synthetic_samples ({columns}) SELECT {columns} FROM staged_drawn")


def counts(catalog: Catalog) -> dict[int, tuple[int, int]]:
    """Accepted and refused draws by model id."""
    rows = catalog.rows(
        """SELECT model_id, count(*) FILTER (WHERE status = 'accepted'), count(*) FILTER (WHERE status = 'refused')
           FROM synthetic_samples GROUP BY model_id"""
    )
    return {model_id: (accepted, refused) for model_id, accepted, refused in rows}


def _row(row: tuple[Any, ...]) -> DrawnRow:
    values = list(row)
    values[5] = json.loads(values[5])
    return DrawnRow(*values)
