"""A person's SQL can read the catalog, and do nothing else: not to files, not to the machine, not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest

from curate.catalog import Catalog
from curate.catalog._query_worker import Refused, only_statement
from curate.catalog.query import Limits, QueryResult, TextEmbedders, check_expression, relations
from curate.errors import InputError, SettingError, WorkError, WorkspaceDamaged, WorkspaceLocked

Ask = Callable[..., QueryResult]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    with Catalog(folder / "catalog.duckdb") as catalog:
        catalog.execute("INSERT INTO datasets (name) SELECT 'set' || i FROM range(10) t(i)")
    (folder / "secret.csv").write_text("word\nhunter2\n")
    return folder


@pytest.fixture
def ask(home: Path) -> Ask:
    def run(
        query: str, *, timeout_s: float = 60, memory_bytes: int = 300_000_000, embedders: TextEmbedders | None = None
    ) -> QueryResult:
        limits = Limits(timeout_s=timeout_s, memory_bytes=memory_bytes, spill=home / "spill", threads=2)
        return QueryResult(home / "catalog.duckdb", query, limits=limits, embedders=embedders)

    return run


@pytest.mark.parametrize(
    "query",
    ["FROM datasets", "WITH a AS (SELECT 1) FROM a", "VALUES (1), (2)", "DESCRIBE datasets", "SUMMARIZE datasets",
     "EXPLAIN SELECT 1", "-- why\nSELECT 1;"],
)  # fmt: skip
def test_what_reads_is_answered(ask, query):
    with ask(query) as result:
        assert result.table().num_rows >= 1


NOT_READING = (
    "COPY datasets TO 'out.csv'", "COPY (SELECT 1) TO 'out.csv'", "ATTACH 'other.db'", "DETACH catalog", "INSTALL fts",
    "PRAGMA version", "PRAGMA enable_profiling", "SET memory_limit = '64GB'", "RESET threads", "USE memory",
    "INSERT INTO datasets (name) VALUES ('x')", "UPDATE datasets SET name = 'x'", "DELETE FROM datasets", "DROP TABLE datasets",
    "CREATE TABLE t AS SELECT 1", "CREATE TEMP TABLE t AS SELECT 1", "ALTER TABLE datasets ADD COLUMN x INTEGER",
    "EXPORT DATABASE 'out'", "CALL pragma_version()", "CHECKPOINT", "VACUUM", "BEGIN", "PREPARE p AS SELECT 1", "EXECUTE p",
    "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE datasets", "", "-- nothing", "PIVOT datasets ON name USING count(*)",
)  # fmt: skip


@pytest.mark.parametrize("query", NOT_READING)
def test_what_does_not_only_read_is_not_even_begun(query):
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE datasets (name VARCHAR)")
        with pytest.raises(Refused):
            only_statement(connection, query)


@pytest.mark.parametrize(
    "query",
    ["COPY datasets TO '{home}/out.csv'", "SELECT 1; SELECT 2", "IMPORT DATABASE '{home}/out'",
     "EXPLAIN ANALYZE COPY datasets TO '{home}/out.csv'", "EXPLAIN ANALYZE DELETE FROM datasets",
     "SELECT nextval('dataset_ids')", "SELECT * FROM read_csv('{home}/secret.csv')", "SELECT * FROM '{home}/secret.csv'",
     "SELECT * FROM read_text('{home}/secret.csv')", "SELECT * FROM glob('{home}/*')", "SELECT getenv('HOME')",
     "SELECT * FROM read_blob('/proc/self/environ')", "SELECT * FROM read_parquet('http://localhost/x.parquet')",
     "FROM query($$COPY datasets TO '{home}/out.csv'$$)", "SELECT * FROM duckdb_secrets()", "SELECT * FROM sys"],
)  # fmt: skip
def test_what_would_write_or_look_outside_is_refused_and_leaves_no_trace(ask, home, query):
    before = sorted(file.name for file in home.iterdir() if file.name != "spill")
    with pytest.raises(SettingError) as caught, ask(query.format(home=home)) as result:
        result.table()
    assert caught.value.exit_code == 2 and "hunter2" not in str(caught.value)
    assert sorted(file.name for file in home.iterdir() if file.name != "spill") == before
    with Catalog(home / "catalog.duckdb", read_only=True) as catalog:
        assert catalog.rows("SELECT name FROM datasets ORDER BY dataset_id") == [(f"set{i}",) for i in range(10)]


def test_the_settings_that_hold_it_cannot_be_seen_open(ask):
    with ask(
        """SELECT name, value FROM duckdb_settings()
           WHERE name IN ('enable_external_access', 'lock_configuration', 'autoload_known_extensions',
                          'python_enable_replacements')"""
    ) as result:
        found = {row["name"]: row["value"] for row in result.table().to_pylist()}
    assert found == {
        "enable_external_access": "false",
        "lock_configuration": "true",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
    }


@pytest.mark.parametrize(
    "query",
    ["SELECT repeat('a', 2000000000)", "SELECT list(i) FROM range(400000000) t(i)",
     "SELECT string_agg(repeat('x', 1000000), '') FROM range(3000)"],
)  # fmt: skip
def test_a_query_that_takes_too_much_memory_is_stopped(ask, query):
    with pytest.raises(WorkError, match="more memory"), ask(query) as result:
        result.table()


@pytest.mark.parametrize(
    "query",
    ["WITH RECURSIVE t AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM t) SELECT count(*) FROM t",
     "SELECT count(*) FROM range(100000) a, range(100000) b, range(1000) c WHERE hash(a, b, c) = 1"],
)  # fmt: skip
def test_a_query_that_never_ends_is_killed(ask, query):
    with pytest.raises(WorkError, match=r"stopped after 2 s"), ask(query, timeout_s=2) as result:
        result.table()


def test_leaving_a_query_early_ends_its_process(ask):
    with ask("FROM range(1000000000000)") as result:
        first = next(result.batches())
        child = result._process._child
    assert first.num_rows > 0 and child.poll() is not None


def test_a_slow_reader_is_not_mistaken_for_a_slow_query(ask):
    with ask("FROM range(200000)", timeout_s=3) as result:
        rows = 0
        for number, batch in enumerate(result.batches()):
            rows += batch.num_rows
            if number == 0:
                time.sleep(3.2)
    assert rows == 200_000


def test_wrong_sql_is_told_in_duckdbs_words(ask):
    with pytest.raises(SettingError, match=r'(?s)sampels does not exist.*Did you mean "samples"'):
        ask("SELECT * FROM sampels")
    with pytest.raises(SettingError, match="syntax error"):
        ask("SELEC 1")


def test_an_error_after_many_rows_is_the_callers_too(ask):
    with (
        pytest.raises(SettingError, match="too late"),
        ask("SELECT CASE WHEN i = 99999 THEN error('too late') ELSE i END FROM range(100000) t(i)") as result,
    ):
        result.table()


def test_it_answers_what_duckdb_answers(ask, home):
    query = """SELECT i, i / 7 AS ratio, 'é' || i AS name, [i, i + 1] AS pair, {'a': i} AS nested, i::HUGEINT AS big,
                      CASE WHEN i % 3 = 0 THEN NULL ELSE i END AS gap, DATE '2020-01-01' + i::INTEGER AS day,
                      (CASE WHEN i % 2 = 0 THEN 'x' ELSE 'y' END)::ENUM ('x', 'y') AS kind
               FROM range(10000) t(i) ORDER BY hash(i)"""
    with ask(query) as result:
        assert result.table().to_pylist() == duckdb.connect().sql(query).to_arrow_table().to_pylist()


def test_embed_is_answered_by_the_caller_once_for_each_text(ask):
    asked = []

    def embed(slug: str, text: str) -> np.ndarray:
        asked.append((slug, text))
        return np.array([len(text), 1, 0], np.float32)

    both = TextEmbedders({"one": 3, "two": 3}, "one", embed)
    query = "SELECT embed('abc') AS a, embed_two('de') AS b, embed(name) AS c FROM datasets ORDER BY dataset_id"
    with ask(query, embedders=both) as result:
        rows = result.table().to_pylist()
    assert rows == [{"a": [3, 1, 0], "b": [2, 1, 0], "c": [4, 1, 0]}] * 10
    assert (
        sorted(set(asked)) == sorted(asked) == sorted([("one", "abc"), ("two", "de"), *(("one", f"set{i}") for i in range(10))])
    )


def test_the_vectors_dimension_is_part_of_the_type(ask):
    both = TextEmbedders({"one": 3}, "one", lambda *_: np.array([0, 1, 0], np.float32))
    with ask("SELECT array_cosine_similarity(embed('x'), [0, 1, 0]::FLOAT[3]) AS s", embedders=both) as result:
        assert result.table().to_pylist() == [{"s": 1.0}]


def test_embed_says_what_is_missing(ask):
    with pytest.raises(SettingError, match="curate embed"):
        ask("SELECT embed('x')")
    with pytest.raises(SettingError, match="embed_clip"):
        ask("SELECT embed('x', 'clip')", embedders=TextEmbedders({"one": 3}, "one", lambda *_: np.zeros(3, np.float32)))


def test_the_limit_counts_the_time_that_embedding_takes(ask):
    asked = []

    def slowly(slug: str, text: str) -> np.ndarray:
        asked.append(text)
        time.sleep(0.3)
        return np.zeros(3, np.float32)

    with pytest.raises(WorkError, match="stopped after 1 s"):
        ask("SELECT embed('x' || i) FROM range(100) t(i)", timeout_s=1, embedders=TextEmbedders({"one": 3}, "one", slowly))
    assert len(asked) <= 4


def test_what_went_wrong_while_embedding_is_what_the_caller_hears(ask):
    def fail(slug: str, text: str) -> np.ndarray:
        raise InputError("the model is gone")

    with pytest.raises(InputError, match="the model is gone"):
        ask("SELECT embed('x')", embedders=TextEmbedders({"one": 3}, "one", fail))


def test_a_catalog_that_is_being_written_is_told_as_locked(home, ask):
    with Catalog(home / "catalog.duckdb"), pytest.raises(WorkspaceLocked, match="this process"):
        ask("SELECT 1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1=1) UNION (SELECT 1",
        "1=1) OR (1=1",
        "a, b",
        "a = 1; SELECT 2",
        "a = 1 LIMIT 3",
        "a = 1 ORDER BY 2",
        "(",
        "1=1) --",
    ],
)
def test_more_or_less_than_an_expression_is_refused(text):
    with pytest.raises(SettingError, match="not one SQL expression"):
        check_expression(text)


@pytest.mark.parametrize("text", ["a = 1", "label IN (SELECT label FROM curated)", "text LIKE '%)%'", "a = 1 -- why"])
def test_one_expression_is_taken(text):
    check_expression(text)


def test_relations_are_those_that_a_query_may_name(home, ask):
    with Catalog(home / "catalog.duckdb", read_only=True) as catalog:
        found = relations(catalog)
        for relation in found:
            assert catalog.table(f"FROM {relation.name} LIMIT 0").column_names == [name for name, _ in relation.columns]
    with ask("SHOW TABLES") as result:
        assert sorted(r.name for r in found) == sorted(result.table()["name"].to_pylist())


def test_a_query_waits_for_a_writer_as_long_as_it_may(home):
    import threading

    limits = Limits(timeout_s=60, memory_bytes=300_000_000, spill=home / "spill", wait_s=60)
    writer = Catalog(home / "catalog.duckdb")
    threading.Timer(1.0, writer.close).start()
    with QueryResult(home / "catalog.duckdb", "SELECT 1 AS a", limits=limits) as result:
        assert result.table().to_pylist() == [{"a": 1}]


def test_a_file_that_is_no_catalog_is_told_as_damaged(tmp_path):
    limits = Limits(timeout_s=60, memory_bytes=300_000_000, spill=tmp_path / "spill")
    (tmp_path / "catalog.duckdb").write_bytes(b"no catalog" * 1000)
    with pytest.raises(WorkspaceDamaged):
        QueryResult(tmp_path / "catalog.duckdb", "SELECT 1", limits=limits)
    duckdb.connect(str(tmp_path / "other.duckdb")).close()
    with pytest.raises(WorkspaceDamaged, match="no catalog of curate"):
        QueryResult(tmp_path / "other.duckdb", "SELECT 1", limits=limits)
