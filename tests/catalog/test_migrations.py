"""Migrations: in order, once each, whole or not at all, with data kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from curate.catalog import Catalog
from curate.catalog._migrations import migrate, vectors_table_ddl
from curate.errors import WorkspaceDamaged, WorkspaceError
from curate.resources import resource_folder

RELEASED = resource_folder("schemas") / "sql"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the released migrations, to which a test may add."""
    return Path(shutil.copytree(RELEASED, tmp_path / "sql"))


@pytest.fixture
def connection(tmp_path: Path):
    with duckdb.connect(str(tmp_path / "catalog.duckdb")) as opened:
        yield opened


def tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()}


def numbers() -> list[int]:
    return sorted(int(file.stem[:4]) for file in RELEASED.glob("[0-9]*.sql"))


def newest() -> int:
    return numbers()[-1]


def test_no_two_released_migrations_have_a_number_in_common():
    assert len(set(numbers())) == len(numbers()) and numbers()[0] == 1


def test_each_is_applied_once(connection, folder):
    assert len(migrate(connection, folder)) == len(numbers())
    before = tables(connection)
    assert migrate(connection, folder) == [] and tables(connection) == before
    assert [row[0] for row in connection.execute("SELECT number FROM migrations ORDER BY number").fetchall()] == numbers()


def test_a_migration_goes_on_over_data_from_the_one_before(connection, folder):
    first = sorted(folder.glob("[0-9]*.sql"))[0]
    later = [file for file in sorted(folder.glob("[0-9]*.sql")) if file != first]
    held = [(file.name, file.read_text()) for file in later]
    for file in later:
        file.unlink()
    migrate(connection, folder)
    connection.execute("INSERT INTO datasets (name) VALUES ('a'), ('b')")
    for name, text in held:
        (folder / name).write_text(text)
    number = newest() + 1
    (folder / f"{number:04}_more.sql").write_text(
        "ALTER TABLE datasets ADD COLUMN colour VARCHAR; UPDATE datasets SET colour = name || ' red';"
    )
    assert migrate(connection, folder)[-1] == f"{number:04}_more"
    assert connection.execute("SELECT name, colour FROM datasets ORDER BY name").fetchall() == [("a", "a red"), ("b", "b red")]


def test_one_that_fails_half_way_leaves_nothing_and_is_applied_once_it_is_mended(connection, folder):
    migrate(connection, folder)
    connection.execute("INSERT INTO datasets (name) VALUES ('a')")
    before = tables(connection)
    bad = folder / f"{newest() + 1:04}_bad.sql"
    bad.write_text("CREATE TABLE half (n INTEGER); INSERT INTO half VALUES (1); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(duckdb.Error, match="nowhere"):
        migrate(connection, folder)
    assert tables(connection) == before
    bad.write_text("CREATE TABLE half (n INTEGER); INSERT INTO half SELECT count(*) FROM datasets;")
    assert migrate(connection, folder) == [bad.stem]
    assert connection.execute("SELECT n FROM half").fetchall() == [(1,)]


def test_a_migration_that_was_altered_after_it_was_applied_is_refused(connection, folder):
    migrate(connection, folder)
    file = folder / "0001_house.sql"
    file.write_text(file.read_text() + "\n-- altered")
    with pytest.raises(WorkspaceDamaged, match="0001_house"):
        migrate(connection, folder)


def test_a_catalog_of_a_newer_curate_is_refused_by_writers_and_readers(tmp_path):
    path = tmp_path / "catalog.duckdb"
    with Catalog(path) as catalog:
        catalog.execute("INSERT INTO migrations (number, name, checksum) VALUES (9000, '9000_future', 'x')")
    for read_only in (False, True):
        with pytest.raises(WorkspaceDamaged, match="9000_future") as newer:
            Catalog(path, read_only=read_only)
        assert "pip install" in (newer.value.hint or "")


def test_a_reader_of_an_older_catalog_is_told_to_let_a_writer_migrate_it(tmp_path):
    path = tmp_path / "catalog.duckdb"
    with duckdb.connect(str(path)) as old:
        old.execute(
            "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name VARCHAR, checksum VARCHAR, applied_at TIMESTAMP)"
        )
    with pytest.raises(WorkspaceError, match="older"):
        Catalog(path, read_only=True)


def test_no_migration_hides_a_table_that_is_there_already():
    for file in RELEASED.rglob("*.sql"):
        assert "IF NOT EXISTS" not in file.read_text().upper(), file.name


@pytest.mark.parametrize(("slug", "dimension"), [("a; DROP TABLE runs", 3), ("", 3), ("ok", 0), ('x"y', 3)])
def test_a_vector_table_takes_its_name_from_no_free_text(slug, dimension):
    with pytest.raises(ValueError, match="table name"):
        vectors_table_ddl(slug, dimension)
