"""Whatever is altered behind our back is named with its table and run, whatever lawful writes come before and after."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.catalog import Catalog, runs, schema, seals, vectors
from curate.catalog._digests import Shape, Total, shapes, totals
from curate.catalog._migrations import migrate
from curate.resources import resource_folder

VALUES = {
    "VARCHAR": "'other'", "JSON": "'{{\"other\": 1}}'", "BOOLEAN": "NOT coalesce({c}, false)",
    "TIMESTAMP": "TIMESTAMP '2001-02-03'",
    "BIGINT": "coalesce({c}, 0) + 1", "INTEGER": "coalesce({c}, 0) + 1", "UBIGINT": "coalesce({c}, 0) + 1",
    "DOUBLE": "coalesce({c}, 0) + 0.001",
}  # fmt: skip
"""By type, another value than the cell has."""

MEMORY = duckdb.connect(":memory:")


def fill(catalog: Catalog) -> None:
    """Two rows or more in every table, by two runs."""
    for number in (1, 2):
        run = runs.begin(catalog, "ingest", dataset="a", command="c", settings={})
        catalog.execute(f"INSERT INTO datasets (name, notes) VALUES ('d{number}', 'n')")
        vectors.register(catalog, vectors.EmbedderRow(f"e{number}", "spec", "f", 3, "d", 0.5))
        for name, shape in shapes(catalog.connection).items():
            if name.startswith("vectors_"):
                vectors.add(catalog, name[8:], np.array([number]), np.eye(3, dtype=np.float32)[number : number + 1])
            elif name not in ("runs", "datasets", "embedders", "migrations"):
                insert(catalog, name, shape.columns, number, run)
        runs.end(catalog, run, "done", {"read": number})


def insert(catalog: Catalog, table: str, columns: tuple[tuple[str, str], ...], number: int, run: int) -> None:
    """A row whose values pass the table's constraints."""
    given = {
        "run_id": str(run), "modality": "'text'", "text": "'t'", "blob": "NULL", "action": "'drop'", "reason": "'user'",
        "part": "'train'", "status": "'accepted'", "refusal": "NULL", "similarity": "0.5", "keeper_id": "99", "depth": "1",
        "dataset_id": "1", "model_id": "1", "owner": "'user'",
    }  # fmt: skip
    plain = {"VARCHAR": f"'v{number}'", "JSON": "'{}'", "BOOLEAN": "true", "TIMESTAMP": "now()::TIMESTAMP", "DOUBLE": "0.5"}
    found = catalog.rows("SELECT constraint_text FROM duckdb_constraints() WHERE table_name = ?", [table])
    rules = " ".join(str(row[0]) for row in found)
    listed = dict(re.findall(r"\(?(\w+) IN \('(\w+)'", rules))  # the first value that a CHECK allows
    given |= {name: f"'{value}'" for name, value in listed.items() if name not in given}
    if table == "models":
        given["model_id"] = str(number)
    values = [given.get(name) or plain.get(kind, str(number)) for name, kind in columns]
    catalog.execute(f"INSERT INTO {table} SELECT {', '.join(values)}")


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("seals") / "catalog.duckdb"
    with Catalog(path) as catalog:
        fill(catalog)
        assert seals.broken(catalog) == [] and schema.differences(catalog) == []
    return path


@pytest.fixture(scope="module")
def cells(original) -> list[tuple[str, str, str]]:
    """Every column of every table as (table, column, type)."""
    with Catalog(original, read_only=True) as catalog:
        known = shapes(catalog.connection)
        assert not [name for name in known if not catalog.scalar(f"SELECT count(*) FROM {name}")], "every table has rows"
        return [(table, name, kind) for table, shape in known.items() for name, kind in shape.columns]


@pytest.fixture(scope="module")
def altered(original, tmp_path_factory):
    """A copy that is altered inside a transaction which is rolled back."""
    path = Path(shutil.copy(original, tmp_path_factory.mktemp("altered") / "catalog.duckdb"))
    with Catalog(path) as catalog:
        yield catalog


def named_after(catalog: Catalog, statement: str) -> set[str] | None:
    """The tables that are named once the statement ran; None where the catalog itself refuses it."""
    catalog.connection.execute("BEGIN")
    try:
        catalog.connection.execute(statement)
        return {one.table for one in seals.broken(catalog)}
    except (duckdb.ConstraintException, duckdb.ConversionException):
        return None
    finally:
        catalog.connection.execute("ROLLBACK")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_single_alteration_of_any_table_is_named(data, cells, altered):
    table, column, kind = data.draw(st.sampled_from(cells))
    row = f"rowid = (SELECT {data.draw(st.sampled_from(['min', 'max']))}(rowid) FROM {table})"
    other = VALUES.get(kind, "[0.5, 0.5, 0.5]" if kind.startswith("FLOAT[") else "NULL").format(c=f'"{column}"')
    statement = data.draw(
        st.sampled_from(
            [
                f'UPDATE {table} SET "{column}" = {other} WHERE {row}',
                f"DELETE FROM {table} WHERE {row}",
                f"INSERT INTO {table} SELECT * FROM {table} WHERE {row}",
                f"DELETE FROM {table}",
            ]
        )
    )
    named = named_after(altered, statement)
    assert named is None or named == {table}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM seals WHERE table_name = 'runs' AND run_id = 1",
        "UPDATE seals SET digest = digest + 1 WHERE table_name = 'runs' AND run_id = 1",
        "UPDATE seals SET sealed_by = 9 WHERE table_name = 'runs' AND run_id = 1",
        "UPDATE seals SET run_id = 9 WHERE table_name = 'runs' AND run_id = 1",
        "INSERT INTO seals SELECT * FROM seals WHERE table_name = 'runs' AND run_id = 1",
    ],
)
def test_the_seals_are_guarded_too(altered, statement):
    assert named_after(altered, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE OR REPLACE VIEW accepted AS SELECT * FROM samples",
        "DROP VIEW lineage",
        "CREATE TABLE extra (n INTEGER)",
        "DROP INDEX sources_by_uri",
        "ALTER TABLE datasets ADD COLUMN more VARCHAR",
        "CREATE MACRO sha256(x) AS 'same'",
        "DROP SEQUENCE metric_ids CASCADE",
    ],
)
def test_the_schema_is_compared_with_what_the_migrations_make(altered, statement):
    altered.connection.execute("BEGIN")
    try:
        altered.connection.execute(statement)
        assert schema.differences(altered)
    except duckdb.DependencyException:
        pass  # the catalog itself refuses it
    finally:
        altered.connection.execute("ROLLBACK")


@pytest.fixture
def catalog(original, tmp_path):
    with Catalog(Path(shutil.copy(original, tmp_path / "catalog.duckdb"))) as opened:
        yield opened


def test_lawful_changes_are_sealed_by_the_run_that_made_them(catalog):
    run = runs.begin(catalog, "ingest", dataset="a", command="c", settings={})
    with catalog.transaction():
        catalog.execute("INSERT INTO rejects SELECT 10 + range, 3, 1, 'l', 'r', 'e' FROM range(9)")
        catalog.execute("UPDATE rejects SET reason = 'other' WHERE run_id <> 2")
        catalog.execute("DELETE FROM rejects WHERE run_id = 2")
        catalog.execute("INSERT INTO rejects VALUES (30, 3, 1, 'l', 'r', 'e')")
    catalog.execute("UPDATE real_samples SET label = 'new' WHERE sample_id = 1", within="sample_id = 1")
    catalog.execute("INSERT INTO embedders SELECT 'e3', * EXCLUDE slug FROM embedders LIMIT 1 ON CONFLICT DO NOTHING")
    assert seals.broken(catalog) == []
    sealed = catalog.rows("SELECT run_id, row_count, sealed_by FROM seals WHERE table_name = 'rejects' ORDER BY run_id")
    assert sealed == [(1, 1, run), (3, 10, run)]
    changed = catalog.rows("SELECT sealed_by FROM seals WHERE table_name = 'real_samples' ORDER BY run_id")
    assert changed == [(run,), (2,)]


def test_what_was_altered_stays_named_through_lawful_changes_of_its_table(catalog):
    catalog.connection.execute("UPDATE real_samples SET label = 'forged' WHERE sample_id = 1")
    catalog.execute("UPDATE real_samples SET external_id = 'x'")
    catalog.execute("DELETE FROM real_samples WHERE sample_id = 2", within="sample_id = 2")
    assert [(one.table, one.run_id) for one in seals.broken(catalog)] == [("real_samples", 1)]
    catalog.execute("UPDATE real_samples SET label = 'v1' WHERE sample_id = 1")
    assert [(one.table, one.run_id) for one in seals.broken(catalog)] == [("real_samples", 1)]


def test_nothing_is_sealed_of_what_was_rolled_back(catalog):
    with pytest.raises(RuntimeError), catalog.transaction():
        catalog.execute("DELETE FROM losses")
        catalog.execute("DROP TABLE vectors_e1")
        raise RuntimeError
    assert seals.broken(catalog) == []
    catalog.execute("DROP TABLE vectors_e1")
    assert seals.broken(catalog) == []


def test_a_migration_moves_the_seals_and_hides_no_alteration(original, tmp_path):
    path = Path(shutil.copy(original, tmp_path / "catalog.duckdb"))
    folder = Path(shutil.copytree(resource_folder("schemas") / "sql", tmp_path / "sql"))
    (folder / "9000_more.sql").write_text(
        "ALTER TABLE real_samples ADD COLUMN more VARCHAR; UPDATE losses SET value = value + 1;"
    )
    with Catalog(path) as catalog:
        catalog.connection.execute("UPDATE real_samples SET label = 'forged' WHERE sample_id = 1")
        assert migrate(catalog.connection, folder) == ["9000_more"]
        assert [(one.table, one.run_id, one.found) for one in seals.broken(catalog)] == [("real_samples", 1, 1)]


def test_what_stood_in_a_catalog_before_there_were_seals_is_sealed_by_the_upgrade(tmp_path):
    folder = Path(shutil.copytree(resource_folder("schemas") / "sql", tmp_path / "sql"))
    kept = (folder / "0006_seals.sql").read_text()
    (folder / "0006_seals.sql").unlink()
    for later in folder.glob("*.sql"):
        if later.name > "0006":
            later.unlink()
    path = tmp_path / "catalog.duckdb"
    with duckdb.connect(str(path)) as connection:
        migrate(connection, folder)
        connection.execute("INSERT INTO datasets (name) VALUES ('a')")
        (folder / "0006_seals.sql").write_text(kept)
    with Catalog(path) as catalog:
        assert seals.broken(catalog) == []
        catalog.connection.execute("UPDATE datasets SET notes = 'x'")
        assert [one.table for one in seals.broken(catalog)] == ["datasets"]


@given(st.lists(st.tuples(st.sampled_from(["", "a", "1:a", "é\n"]), st.sampled_from([None, "", "-"])), max_size=6))
@settings(deadline=None, max_examples=30)
def test_a_digest_depends_on_which_rows_there_are_and_not_on_their_order(rows):
    def digest(values: list[tuple[str, str | None]]) -> dict[int, Total]:
        MEMORY.execute("CREATE OR REPLACE TABLE t (a VARCHAR, b VARCHAR)")
        for row in values:
            MEMORY.execute("INSERT INTO t VALUES (?, ?)", list(row))
        return totals(MEMORY, Shape("t", (("a", "VARCHAR"), ("b", "VARCHAR"))))

    assert digest(rows) == digest(rows[::-1])
    if rows:
        changed = [(rows[0][0] + "x", rows[0][1]), *rows[1:]]
        assert digest(rows) != digest(changed) and digest(rows) != digest(rows[1:])
        assert digest(rows) != digest([(rows[0][0], "-" if rows[0][1] is None else None), *rows[1:]])
