"""`sql`: every format carries the same answer, the table says what it leaves out, and the schema's meanings are complete."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.cli.table import draw
from curate.errors import SettingError, WorkError
from curate.reporting import query_output as out
from curate.retrieval.querying import _meanings, describe_catalog
from curate.steps.embed import embed
from curate.steps.ingest import ingest
from curate.steps.sql import sql
from curate.workspace import create_workspace, open_workspace

ROWS = [("1", "a,b", "tea", None), ("2", 'say "hi"', "tea", 0.5), ("3", "línea\nzwei", "=1+1", -3.25)]
QUERY = """SELECT sample_id AS id, text, label, metadata->>'x' AS x, [1, 2] AS pair, sum(size_bytes) OVER () AS total
           FROM curated ORDER BY 1"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sql")
    root = create_workspace(folder / "ws")
    rows = [{"id": i, "text": text, "label": label, "x": x} for i, text, label, x in ROWS]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with open_workspace(root) as ws:
        ingest(ws, [folder / "a.jsonl"], dataset="a", text=["text"], label="label", id="id")
        embed(ws, "a")
    return root


@pytest.fixture
def ws(home):
    with open_workspace(home, read_only=True) as workspace:
        yield workspace


def curate(home: Path, *arguments: str, **given) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from curate.cli import main; main()", *arguments]
    environment = {**os.environ, "CURATE_WORKSPACE": str(home)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, **given)


def test_every_format_carries_the_same_rows(ws, tmp_path):
    with sql(ws, QUERY) as result:
        expected = [{name: out.plain(value) for name, value in row.items()} for row in result.table().to_pylist()]
    assert [row["text"] for row in expected] == [text for _, text, _, _ in ROWS] and expected[0]["total"] == 22
    for suffix in out.SUFFIXES:
        with sql(ws, QUERY) as result:
            assert out.save(result, tmp_path / f"answer{suffix}", None) == 3
    assert json.loads((tmp_path / "answer.json").read_text()) == expected
    assert [json.loads(line) for line in (tmp_path / "answer.jsonl").read_text().splitlines()] == expected
    parquet = pq.read_table(tmp_path / "answer.parquet").to_pylist()
    assert [{name: out.plain(value) for name, value in row.items()} for row in parquet] == expected
    with (tmp_path / "answer.csv").open(newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [row["text"] for row in read] == [text for _, text, _, _ in ROWS]
    assert read[0]["x"] == "" and json.loads(read[0]["pair"]) == [1, 2]


def test_a_file_is_whole_or_not_there(ws, tmp_path):
    (tmp_path / "answer.csv").write_text("old")
    with (
        pytest.raises(SettingError, match="too late"),
        sql(ws, "SELECT CASE WHEN i = 9999 THEN error('too late') ELSE i END FROM range(10000) t(i)") as result,
    ):
        out.save(result, tmp_path / "answer.csv", None)
    assert (tmp_path / "answer.csv").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(SettingError, match="no format"), sql(ws, "SELECT 1") as result:
        out.save(result, tmp_path / "answer.xyz", None)


def test_columns_of_one_name_are_all_there():
    assert out.column_names(["a", "b", "a", "a_2", "a"]) == ["a", "b", "a_2", "a_2_2", "a_3"]


def test_no_rows_are_valid_in_every_format(ws):
    for format, expected in (("json", []), ("jsonl", None), ("csv", None)):
        stream = io.StringIO()
        with sql(ws, "SELECT 1 AS a WHERE false") as result:
            assert out.write(result, format, stream) == 0
        assert (json.loads(stream.getvalue()) == expected) if format == "json" else stream.getvalue() in ("", "a\n")


def test_a_text_can_be_compared_with_the_vectors(ws):
    with sql(
        ws,
        """SELECT text FROM samples JOIN vectors_minilm USING (sample_id)
           ORDER BY array_cosine_similarity(vector, embed('say "hi"')) DESC LIMIT 1""",
    ) as result:
        assert result.table().to_pylist() == [{"text": 'say "hi"'}]


def test_a_writable_workspace_answers_too_and_can_be_written_to_while_the_answer_is_read(home):
    with open_workspace(home) as ws:
        with sql(ws, "SELECT i, repeat('x', 100) AS x FROM range(20000) t(i)") as result:
            ws.catalog.execute("CREATE TABLE scribble AS SELECT 1 AS a")
            assert result.table()["i"].to_pylist() == list(range(20000))
        with sql(ws, "FROM scribble") as result:
            assert result.table().to_pylist() == [{"a": 1}]
        ws.catalog.execute("DROP TABLE scribble")
        with pytest.raises(SettingError, match="too late"):
            sql(ws, "SELECT CASE WHEN i = 99999 THEN error('too late') ELSE i END FROM range(100000) t(i)")
        with pytest.raises(SettingError, match="COPY is not allowed"):
            sql(ws, "COPY datasets TO 'x.csv'")
        with pytest.raises(WorkError, match="stopped after 1 s"):
            sql(ws, "FROM range(1000000000000)", timeout_s=1)
        with ws.catalog.transaction(), pytest.raises(WorkError, match="inside a transaction"):
            sql(ws, "SELECT 1")
        with sql(ws, "SELECT embed('say')[1] IS NULL AS a") as result:
            assert result.table().to_pylist() == [{"a": False}]
        assert ws.catalog.scalar("SELECT count(*) FROM real_samples") == 3


def test_a_senseless_limit_is_refused(home):
    with open_workspace(home, read_only=True) as ws, pytest.raises(SettingError, match="above 0"):
        sql(ws, "SELECT 1", timeout_s=0)


NUMBERS = {
    "hugeint": (f"{2**127 - 1}::HUGEINT", str(2**127 - 1)),
    "uhugeint": (f"{2**128 - 1}::UHUGEINT", str(2**128 - 1)),
    "bignum": (f"'{10**60 + 7}'::BIGNUM", str(10**60 + 7)),
    "decimal": ("1234567890123456789012345678.0123456789::DECIMAL(38, 10)", "1234567890123456789012345678.0123456789"),
    "small": ("0.0000000001::DECIMAL(38, 10)", "0.0000000001"),
    "negative": ("-12.30::DECIMAL(5, 2)", "-12.30"),
    "unsigned": (f"{2**64 - 1}::UBIGINT", str(2**64 - 1)),
}


def test_numbers_leave_digit_by_digit_in_every_format(ws, tmp_path):
    query = "SELECT " + ", ".join(f"{value} AS {name}" for name, (value, _) in NUMBERS.items())
    query += ", [1.10::DECIMAL(38, 2)] AS listed, {'a': 2.20::DECIMAL(38, 2)} AS nested"
    digits = {name: written for name, (_, written) in NUMBERS.items()}
    for suffix in ("csv", "json", "jsonl", "parquet"):
        with sql(ws, query) as result:
            out.save(result, tmp_path / f"numbers.{suffix}", None)
    with (tmp_path / "numbers.csv").open(newline="") as stream:
        (read,) = csv.DictReader(stream)
    assert read == {**digits, "listed": "[1.10]", "nested": '{"a": 2.20}'}
    for suffix in ("json", "jsonl"):
        text = (tmp_path / f"numbers.{suffix}").read_text()
        read = json.loads(text, parse_float=str, parse_int=str)
        row = read[0] if suffix == "json" else read
        assert row == {**digits, "listed": ["1.10"], "nested": {"a": "2.20"}}
    (row,) = pq.read_table(tmp_path / "numbers.parquet").to_pylist()
    assert {name: str(row[name]) for name in digits} | {"small": format(row["small"], "f")} == digits
    drawn = draw(list(digits), [[row[name] for name in digits]], width=400)
    assert all(written in drawn for written in digits.values())


def test_every_type_of_duckdb_leaves_in_every_format(ws, tmp_path):
    for suffix in out.SUFFIXES:
        with sql(ws, "FROM test_all_types()") as result:
            assert out.save(result, tmp_path / f"types{suffix}", None) == 3
    query = "SELECT INTERVAL '1 month 2 days 3.5 seconds' AS i, [INTERVAL '1 day'] AS l, '10:00:00+02'::TIMETZ AS t"
    with sql(ws, query) as result:
        out.save(result, tmp_path / "answer.parquet", None)
    expected = {"i": "1 month 2 days 00:00:03.5", "l": ["1 day"], "t": "10:00:00+02"}
    assert pq.read_table(tmp_path / "answer.parquet").to_pylist() == [expected]


def test_every_relation_and_column_has_a_meaning_and_no_meaning_is_left_over(ws):
    relations = describe_catalog(ws)
    assert [r.name for r in relations if not r.meaning] == []
    assert [f"{r.name}.{c.name}" for r in relations for c in r.columns if not c.meaning] == []
    names = {"vectors_*" if r.name.startswith("vectors_") else r.name: {c.name for c in r.columns} for r in relations}
    texts = _meanings()
    assert set(texts) == {"columns", *names}
    for name, columns in names.items():
        assert set(texts[name]) - {"is"} <= columns, name
    assert set(texts["columns"]) <= set().union(*names.values())


@pytest.mark.parametrize("width", [20, 40, 80, 300])
def test_a_table_fits_and_says_what_it_leaves_out(width):
    names = ["id", "text", "score", "other"]
    rows = [[i, "日本語 or more words " * 5, i / 3, None] for i in range(50)]
    drawn = draw(names, rows, width=width, limit=10)
    lines = drawn.splitlines()
    body = [line for line in lines if not line.startswith(("…", "("))]
    assert len(body) == 12 and "… 40 more rows" in drawn and "(50 rows)" in drawn
    from curate.cli.table import _width

    assert all(_width(line) <= width for line in body)
    assert width > 20 or "more columns do not fit" in drawn


def test_a_table_cannot_drive_the_terminal():
    drawn = draw(["a"], [["\x1b[2Jgone\x07\nnext"], [None], [True]], width=80)
    assert "\x1b" not in drawn and "\x07" not in drawn and "NULL" in drawn and "true" in drawn


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
def test_the_command_writes_every_type_as_the_library_does(home, ws, tmp_path, suffix):
    query = "FROM test_all_types()"
    done = curate(home, "sql", query, "-o", str(tmp_path / f"a.{suffix}"))
    assert done.returncode == 0 and "3 rows" in done.stderr, done.stderr
    with sql(ws, query) as result:
        out.save(result, tmp_path / f"b.{suffix}", None)
    if suffix == "parquet":
        assert pq.read_schema(tmp_path / "a.parquet").equals(pq.read_schema(tmp_path / "b.parquet"))
    else:
        assert (tmp_path / f"a.{suffix}").read_text() == (tmp_path / f"b.{suffix}").read_text()


def test_the_command_prints_csv_in_a_pipe_and_json_when_asked(home, tmp_path):
    assert curate(home, "sql", "SELECT 1 AS a, NULL AS b").stdout == "a,b\n1,\n"
    assert json.loads(curate(home, "sql", "--json", "SELECT 1 AS a, NULL AS b").stdout) == [{"a": 1, "b": None}]
    (tmp_path / "query.sql").write_text("SELECT 2 AS a")
    assert curate(home, "sql", "-f", str(tmp_path / "query.sql")).stdout == "a\n2\n"
    assert curate(home, "sql", "-", input="SELECT 3 AS a").stdout == "a\n3\n"
    wrong = curate(home, "sql", "COPY datasets TO 'x.csv'")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: COPY is not allowed") and wrong.stdout == ""


def test_a_query_that_embeds_nothing_loads_no_torch(home):
    code = """
import sys
from curate.steps.sql import sql
from curate.workspace import open_workspace
with open_workspace(sys.argv[1], read_only=True) as ws, sql(ws, "SELECT count(*) AS n FROM vectors_minilm") as result:
    print(result.table().to_pylist(), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[{'n': 3}] False\n", done.stderr
