"""Taking a dataset out of the catalog, with everything that hangs on it, and giving it another name.

What hangs on a dataset is found by the columns of the tables, so that a table of tomorrow is not forgotten: every row that
names the dataset, one of its samples, sources, splits or models.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from curate.catalog._connection import Catalog
from curate.catalog.datasets import Dataset, check_name
from curate.errors import InputError

_KEYS = {
    "dataset_id": "SELECT {dataset_id}",
    "sample_id": "SELECT sample_id FROM gone_samples",
    "source_id": "SELECT source_id FROM gone_sources",
    "split_id": "SELECT split_id FROM gone_splits",
    "model_id": "SELECT model_id FROM gone_models",
    "protection_id": "SELECT protection_id FROM gone_protections",
}
"""Column → the values of it that go."""
_STAY = frozenset({"datasets", "seals", "migrations", "runs", "embedders"})


class Hanging(NamedTuple):
    """What goes with a dataset.

    Attributes:
        rows: table → how many of its rows go.
        models: folders below `models/` of the models that go.
        orphaned: samples of other datasets that were dropped in favour of one that goes; they are kept again.
        others: models of other datasets that learned from this one, by name: they forbid the removal.
    """

    rows: dict[str, int]
    models: tuple[str, ...]
    orphaned: int
    others: tuple[str, ...]


def hanging(catalog: Catalog, dataset: Dataset) -> Hanging:
    """Count what goes with a dataset, and leave lists of it in temporary tables for `remove`."""
    number = int(dataset.dataset_id)
    for name, query in (
        ("gone_models", f"SELECT model_id FROM models WHERE dataset_id = {number}"),
        ("gone_splits", f"SELECT split_id FROM splits WHERE dataset_id = {number}"),
        ("gone_protections", f"SELECT protection_id FROM protections WHERE {number} IN (dataset_id, reference_id)"),
        ("gone_sources", f"SELECT source_id FROM sources WHERE dataset_id = {number}"),
        (
            "gone_samples",
            f"""SELECT sample_id FROM real_samples WHERE dataset_id = {number} UNION ALL
                SELECT sample_id FROM synthetic_samples
                WHERE dataset_id = {number} OR model_id IN (SELECT model_id FROM gone_models)""",
        ),
    ):
        catalog.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
    rows = {
        table: int(catalog.scalar(f"SELECT count(*) FROM {table} WHERE {condition}"))
        for table, condition in _conditions(catalog, number).items()
    }
    models = catalog.rows("SELECT folder FROM models SEMI JOIN gone_models USING (model_id) ORDER BY folder")
    return Hanging(
        {t: n for t, n in rows.items() if n}, tuple(m[0] for m in models), _orphaned(catalog), _others(catalog, number)
    )


def remove(catalog: Catalog, run_id: int, dataset: Dataset) -> int:
    """Delete what `hanging` found, and the dataset itself; call it inside a transaction, after `hanging`.

    Returns:
        How many samples of other datasets are kept again, because the one that stood for them is gone.
    """
    orphaned = _orphaned(catalog)
    catalog.execute(
        f"""INSERT INTO verdicts (sample_id, owner, action, reason, run_id)
            SELECT sample_id, owner, 'restore', 'its keeper was removed', ? FROM standing_verdicts
            WHERE verdict_id IN ({_ORPHANED}) ORDER BY sample_id""",
        [run_id],
    )
    for table, condition in _conditions(catalog, int(dataset.dataset_id)).items():
        catalog.execute(f"DELETE FROM {table} WHERE {condition}")
    catalog.execute("DELETE FROM datasets WHERE dataset_id = ?", [dataset.dataset_id])
    return orphaned


def unused_blobs(catalog: Catalog, names: list[str], *, synthetic: bool) -> list[str]:
    """Of blobs by name, those that no sample names any more."""
    import pyarrow as pa

    with catalog.given(asked_blobs=pa.table({"blob": pa.array(names, pa.string())})):
        table = "synthetic_samples" if synthetic else "real_samples"
        found = catalog.rows(f"SELECT DISTINCT a.blob FROM asked_blobs a ANTI JOIN {table} s ON s.blob = a.blob ORDER BY 1")
    return [name for (name,) in found]


def blobs(catalog: Catalog, *, synthetic: bool) -> list[str]:
    """The blobs that the samples name which `hanging` found."""
    table = "synthetic_samples" if synthetic else "real_samples"
    return [
        name
        for (name,) in catalog.rows(
            f"SELECT DISTINCT blob FROM {table} SEMI JOIN gone_samples USING (sample_id) WHERE blob IS NOT NULL ORDER BY 1"
        )
    ]


def rename(catalog: Catalog, dataset: Dataset, name: str) -> None:
    """Give a dataset another name, in its own row and in those of the runs over it; call it inside a transaction.

    Raises:
        SettingError: the name has other characters than letters, digits, dot, hyphen and underscore.
        InputError: another dataset has it.
    """
    check_name(name)
    if catalog.scalar("SELECT 1 FROM datasets WHERE name = ?", [name]):
        raise InputError(f"there is a dataset {name} already", hint="another name")
    catalog.execute("UPDATE datasets SET name = ? WHERE dataset_id = ?", [name, dataset.dataset_id])
    catalog.execute("UPDATE runs SET dataset = ? WHERE dataset = ?", [name, dataset.name])


def _conditions(catalog: Catalog, dataset_id: int) -> dict[str, str]:
    """For every table whose rows may hang on a dataset, the condition that selects them."""
    columns = catalog.rows(
        """SELECT c.table_name, list(c.column_name) FROM duckdb_columns() c JOIN duckdb_tables() t USING (table_oid)
           WHERE NOT t.temporary AND NOT t.internal AND c.schema_name = 'main' GROUP BY 1 ORDER BY 1"""
    )
    found: dict[str, str] = {}
    for table, names in columns:
        keys = [key for key in _KEYS if key in names]
        if table in _STAY or not keys or not re.fullmatch(r"\w+", table):
            continue
        chosen = [f"{key} IN ({_KEYS[key].format(dataset_id=dataset_id)})" for key in keys]
        if table == "duplicates":
            chosen.append(f"keeper_id IN ({_KEYS['sample_id']})")
        found[table] = " OR ".join(chosen)
    return found


_ORPHANED = """SELECT v.verdict_id FROM standing_verdicts v JOIN duplicates e ON e.duplicate_id = v.duplicate_id
               WHERE v.action = 'drop' AND e.keeper_id IN (SELECT sample_id FROM gone_samples)
                 AND v.sample_id NOT IN (SELECT sample_id FROM gone_samples)"""


def _orphaned(catalog: Catalog) -> int:
    return int(catalog.scalar(f"SELECT count(DISTINCT sample_id) FROM verdicts WHERE verdict_id IN ({_ORPHANED})"))


def _others(catalog: Catalog, dataset_id: int) -> tuple[str, ...]:
    """Models of other datasets that learned from this one too, or that go on from a model of it."""
    rows = catalog.rows(
        """SELECT name FROM models WHERE dataset_id <> ? AND (
               model_id IN (SELECT model_id FROM model_sources WHERE dataset_id = ?)
               OR parent_id IN (SELECT model_id FROM gone_models)) ORDER BY 1""",
        [dataset_id, dataset_id],
    )
    return tuple(name for (name,) in rows)
