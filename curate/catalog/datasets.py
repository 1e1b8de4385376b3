"""Datasets: named corpora."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog
from curate.errors import InputError, SettingError

if TYPE_CHECKING:
    import pyarrow as pa


class Dataset(NamedTuple):
    """A named corpus."""

    dataset_id: int
    name: str
    licence: str | None
    source: str | None
    notes: str | None


def find(catalog: Catalog, name: str) -> Dataset:
    """Look a dataset up by name.

    Raises:
        InputError: there is none; the hint names the nearest ones.
    """
    row = catalog.row("SELECT dataset_id, name, licence, source, notes FROM datasets WHERE name = ?", [name])
    if row:
        return Dataset(*row)
    known = [r[0] for r in catalog.rows("SELECT name FROM datasets ORDER BY name")]
    near = difflib.get_close_matches(name, known, n=3) or known[:8]
    raise InputError(
        f"no dataset is called {name!r}",
        hint=("one of: " + ", ".join(near)) if near else f"curate ingest PATH --dataset {name}",
    )


def check_name(name: str) -> None:
    """Refuse a name that a dataset cannot have.

    Raises:
        SettingError: it has other characters than letters, digits, dot, hyphen and underscore.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise SettingError(
            f"a dataset name has letters, digits, '.', '-' and '_' and starts with a letter or digit, got {name!r}",
            hint="--dataset " + (re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "corpus"),
        )


def forget_if_empty(catalog: Catalog, name: str) -> None:
    """Remove a dataset that nothing was ever read into, as a mistyped first `ingest` would leave behind."""
    catalog.execute(
        """DELETE FROM datasets WHERE name = ?
             AND dataset_id NOT IN (SELECT dataset_id FROM sources) AND dataset_id NOT IN (SELECT dataset_id FROM real_samples)
             AND dataset_id NOT IN (SELECT dataset_id FROM splits) AND dataset_id NOT IN (SELECT dataset_id FROM models)
             AND dataset_id NOT IN (SELECT dataset_id FROM model_sources)""",
        [name],
    )


def ensure(
    catalog: Catalog, name: str, *, licence: str | None = None, source: str | None = None, notes: str | None = None
) -> Dataset:
    """Find a dataset, make it where there is none, and take over what is newly said about it.

    Raises:
        SettingError: the name has other characters than letters, digits, dot, hyphen and underscore.
    """
    check_name(name)
    with catalog.transaction():
        catalog.execute(
            "INSERT INTO datasets (name) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM datasets WHERE name = ?)", [name, name]
        )
        for column, value in (("licence", licence), ("source", source), ("notes", notes)):
            if value is not None:
                catalog.execute(f"UPDATE datasets SET {column} = ? WHERE name = ?", [value, name])
    return find(catalog, name)


def of_samples(catalog: Catalog, sample_ids: pa.Table) -> list[Dataset]:
    """The datasets of some real samples (sample_id)."""
    with catalog.given(chosen=sample_ids):
        rows = catalog.rows(
            """SELECT DISTINCT d.name FROM real_samples s SEMI JOIN chosen USING (sample_id) JOIN datasets d USING (dataset_id)
               ORDER BY 1"""
        )
    return [find(catalog, name) for (name,) in rows]
