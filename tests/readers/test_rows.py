"""What rows come out of JSON, JSON Lines, CSV and Parquet files, and why others do not."""

from __future__ import annotations

import csv
import io
import json
import math
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from curate import plugins
from curate.readers import ReadOptions
from curate.readers import json as json_reader
from curate.readers.opening.streams import Stream
from curate.readers.parsing.json_rows import rows_of_array
from curate.records import Record, Reject


def read(name: str, data: bytes, **options: Any) -> list[Record | Reject]:
    return list(plugins.load("readers", name)(ReadOptions(**options)).read(io.BytesIO(data)))


def shape(items: list[Record | Reject]) -> list[tuple[str, Any]]:
    return [(item.locator, item.fields if isinstance(item, Record) else item.reason) for item in items]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text('ab"\\{}[],:\n\u00e9', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"\\}{', max_size=2), inner, max_size=3),
    max_leaves=8,
)


# JSON


@settings(deadline=None, max_examples=200)
@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 1]), st.integers(1, 9))
def test_cutting_an_array_into_items_gives_what_parsing_it_whole_gives(values, indent, block):
    data = b" " + json.dumps(values, indent=indent, ensure_ascii=False).encode() + b"\n"
    head = data[: data.index(b"[") + 1]
    rest = data[len(head) :]
    pieces = Stream(rest[i : i + block] for i in range(0, len(rest), block))
    cut = list(rows_of_array(head, pieces, 2**20))  # type: ignore[arg-type]
    assert shape(cut) == [(f"item {i}", v if isinstance(v, dict) else "not-an-object") for i, v in enumerate(values, 1)]
    assert cut == read("json", data)


@settings(deadline=None, max_examples=200)
@given(st.text('[]{},:"\\1a \n', max_size=25))
@example("[\f]")
@example("[1,]")
@example("[,1]")
@example("[] x")
@example("[{]}")
def test_what_is_not_json_has_a_reject_that_says_so_and_what_is_has_none(text):
    data = b"[" + text.encode()
    try:
        orjson.loads(data)
        valid = True
    except orjson.JSONDecodeError:
        valid = False
    assert ("invalid-json" in [reason for _, reason in shape(read("json", data))]) is not valid


def test_a_long_array_is_read_in_pieces(monkeypatch):
    monkeypatch.setattr(json_reader, "_WHOLE", 100)
    rows = [{"n": i, "text": "x" * (i % 90)} for i in range(500)]
    assert [item.fields for item in read("json", json.dumps(rows).encode())] == rows  # type: ignore[union-attr]
    lines = "\n".join(map(json.dumps, rows)).encode()
    assert [item.fields for item in read("json", lines)] == rows  # type: ignore[union-attr]
    assert shape(read("json", json.dumps({"n": "x" * 300}).encode())) == [("", {"n": "x" * 300})]
    assert shape(read("json", json.dumps({"n": "x" * 300}).encode(), max_record_bytes=200)) == [("", "too-large")]
    long = b'[{"a": 1}, {"b": "' + b"y" * 5000 + b'"}, {"c": 3}]'
    assert shape(read("json", long, max_record_bytes=1000)) == [
        ("item 1", {"a": 1}),
        ("item 2", "too-large"),
        ("item 3", {"c": 3}),
    ]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.dictionaries(st.text('ab"\\\\', max_size=2), st.text('"\\\\x]},', max_size=60), max_size=3), max_size=5),
    st.integers(1, 30),
)
def test_items_over_the_limit_are_rejects_and_the_others_are_whole(rows, block):
    pieces = [json.dumps(row).encode() for row in rows]
    data = b",".join(pieces) + b"]"
    stream = Stream(data[i : i + block] for i in range(0, len(data), block))
    expected = [row if len(piece) <= 50 else "too-large" for row, piece in zip(rows, pieces, strict=True)]
    assert [held for _, held in shape(list(rows_of_array(b"[", stream, 50)))] == expected  # type: ignore[arg-type]


def test_an_endless_string_in_an_array_is_not_held():
    blocks = (b"x" * 2**18 for _ in range(400))
    tracemalloc.start()
    try:
        items = list(rows_of_array(b'["', Stream(blocks), 2**20))  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert shape(items) == [("end", "invalid-json")]
    assert peak < 8 * 2**20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"text": "a"}', [("", {"text": "a"})]),
        ('{"data": [{"a": 1}, {"a": 2}], "version": "1"}', [("data item 1", {"a": 1}), ("data item 2", {"a": 2})]),
        ('{"anything": [{"a": 1}]}', [("anything item 1", {"a": 1})]),
        ('{"id": 1, "messages": [{"role": "user"}]}', [("", {"id": 1, "messages": [{"role": "user"}]})]),
        ('{"tags": ["a"]}', [("", {"tags": ["a"]})]),
        ('{"a": 1}\n{"a": 2}\n', [("line 1", {"a": 1}), ("line 2", {"a": 2})]),
        ("[]", []),
        ("7", [("", "not-an-object")]),
        ("", [("", "invalid-json")]),
        ("{", [("", "invalid-json")]),
        ('[{"a": 1}, oops, {"a": 2}]', [("item 1", {"a": 1}), ("item 2", "invalid-json"), ("item 3", {"a": 2})]),
        ('[{"a": 1}, {"a"', [("item 1", {"a": 1}), ("end", "invalid-json")]),
    ],
)
def test_every_shape_of_a_json_file(text, expected):
    assert shape(read("json", text.encode())) == expected


@pytest.mark.parametrize("depth", [500, 1020, 5000, 200_000])
def test_deep_nesting_never_crashes(depth):
    for name in ("json", "jsonl"):
        for data in (b"[" * depth, b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
            read(name, data)


# JSON Lines


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), max_size=6),
    st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]),
)
def test_lines_come_back_with_their_numbers(rows, end):
    data = "".join(json.dumps(row) + end for row in rows).encode()
    step = end.count("\n")
    assert shape(read("jsonl", data)) == [(f"line {1 + step * i}", row) for i, row in enumerate(rows)]


def test_bad_lines_are_rejects_and_the_others_are_read():
    data = b'{"a": 1}\n[1]\nnope\n"\xff"\n{"a": NaN}\n' + b'{"a": "' + b"x" * 400 + b'"}\n{"a": 2}'
    assert shape(read("jsonl", data, max_record_bytes=100)) == [
        ("line 1", {"a": 1}),
        ("line 2", "not-an-object"),
        ("line 3", "invalid-json"),
        ("line 4", "invalid-utf8"),
        ("line 5", "invalid-json"),
        ("line 6", "too-large"),
        ("line 7", {"a": 2}),
    ]


@pytest.mark.parametrize("length", [2**18 - 20, 2**18, 2**18 + 1, 2**20])
def test_lines_longer_than_a_block_are_whole_or_too_large(length):
    data = b'{"a": "' + b"x" * length + b'"}\n{"b": 1}\n'
    assert shape(read("jsonl", data)) == [("line 1", {"a": "x" * length}), ("line 2", {"b": 1})]
    assert shape(read("jsonl", data, max_record_bytes=2**17)) == [("line 1", "too-large"), ("line 2", {"b": 1})]


# CSV

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\ufeff", exclude_categories=("Cs",)), max_size=6)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=6), st.sampled_from(["csv", "tsv"]), st.sampled_from(["\n", "\r\n"]))
def test_what_the_standard_writer_writes_comes_back(rows, name, end):
    # of lines that each cut like the header nobody can tell whether they are a cell: those are rejected, not guessed
    assume(all(cell.count("\n") < 2 for row in rows for cell in row))
    out = io.StringIO()
    writer = csv.writer(out, delimiter="," if name == "csv" else "\t", lineterminator=end)
    writer.writerows([("a", "b"), *rows])
    assert shape(read(name, out.getvalue().encode(), quote='"')) == [
        (f"row {i}", {"a": a, "b": b}) for i, (a, b) in enumerate(rows, 1)
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a,b\n", []),
        (b"a,b\n1,2", [("row 1", {"a": "1", "b": "2"})]),
        (b"a,b\n1\n1,2,3\n1,2\n", [("row 1", "ragged-row"), ("row 2", "ragged-row"), ("row 3", {"a": "1", "b": "2"})]),
        (b"a;b\n1,5;2\n", [("row 1", {"a": "1,5", "b": "2"})]),
        (b"a|b\n1|2\n", [("row 1", {"a": "1", "b": "2"})]),
        (b"a\tb\n1\t2\n", [("row 1", {"a": "1", "b": "2"})]),
        (b'"a;x",b\n1,2\n', [("row 1", {"a;x": "1", "b": "2"})]),
        (b"a,a,,a_2\n1,2,3,4\n", [("row 1", {"a": "1", "a_3": "2", "column_3": "3", "a_2": "4"})]),
        (b"a\n\n1\n\n2\n", [("row 1", {"a": "1"}), ("row 2", {"a": "2"})]),
        (b"a,b\n\xff,2\n1,2\n", [("row 1", "invalid-utf8"), ("row 2", {"a": "1", "b": "2"})]),
        (b'a,b\n"x,2\n1,2\n', [("row 1", {"a": '"x', "b": "2"}), ("row 2", {"a": "1", "b": "2"})]),
        (b'a,b\n"x\n1\n', [("row 1", "invalid-csv")]),
        (b"sep=;\na;b\n1,5;2\n", [("row 1", {"a": "1,5", "b": "2"})]),
        (
            b"a;b;c, d\n1;2;3\n4;5;6\n",
            [("row 1", {"a": "1", "b": "2", "c, d": "3"}), ("row 2", {"a": "4", "b": "5", "c, d": "6"})],
        ),
        (b'a,b\n"x,1\ny,2\nz",3\n', [("row 1", "doubtful-quote")]),
        (b'a,b\n"Dear all, hello\nbye",1\n', [("row 1", {"a": "Dear all, hello\nbye", "b": "1"})]),
        (b'a,b\n"x"y,2\n1,2\n', [("row 1", "invalid-csv"), ("row 2", {"a": "1", "b": "2"})]),
        (b"a\xff,b\n1,2\n", [("header", "invalid-utf8")]),
        (b'\xef\xbb\xbf"a,1",b\n1,2\n', [("row 1", {"a,1": "1", "b": "2"})]),
    ],
)
def test_every_kind_of_csv_row(data, expected):
    assert shape(read("csv", data)) == expected


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(("first", "last"), [(0, 999), (11, 501), (998, 999), (400, 406)])
def test_no_row_is_lost_behind_a_stray_quote(first, last, closed):
    rows = [(f"text {n}", f"label{n % 3}") for n in range(1000)]
    lines = [f"{text},{label}" for text, label in rows]
    lines[first] = '"' + lines[first]
    if closed:
        lines[last] = lines[last].replace(",", '",')
    found = shape(read("csv", ("text,label\n" + "\n".join(lines) + "\n").encode()))
    if closed and last - first == 1:
        assert len(found) == 999 and found[first][1]["text"].startswith("text 998")  # a cell of two lines, as it may well be
        return
    assert [where for where, _ in found] == [f"row {n}" for n in range(1, 1001)]
    texts = [fields["text"].replace('"', "") for _, fields in found]
    assert texts == [text for text, _ in rows] and [fields["label"] for _, fields in found] == [label for _, label in rows]


def test_a_quote_is_a_letter_in_tab_separated_files_unless_told():
    data = b'text\tlabel\n"5 inch\ta\nsix\tb\n"x\ty"\tc\n'
    assert shape(read("tsv", data)) == [
        ("row 1", {"text": '"5 inch', "label": "a"}),
        ("row 2", {"text": "six", "label": "b"}),
        ("row 3", "ragged-row"),
    ]
    told = b'text\tlabel\n"x\ty"\tc\n'
    assert shape(read("tsv", told, quote='"')) == [("row 1", {"text": "x\ty", "label": "c"})]


def test_a_dialect_that_is_told_is_not_guessed():
    data = b"a:b\n'x:1':2\n"
    assert shape(read("csv", data, delimiter=":", quote="'")) == [("row 1", {"a": "x:1", "b": "2"})]
    assert shape(read("csv", b'a,b\n"x,2\n', quote="")) == [("row 1", {"a": '"x', "b": "2"})]


def test_a_cell_may_be_larger_than_the_standard_limit_but_not_than_ours():
    big = "x" * 300_000
    assert shape(read("csv", f"a,b\n{big},1\n".encode())) == [("row 1", {"a": big, "b": "1"})]
    assert shape(read("csv", f"a,b\n{big},1\n1,2\n".encode(), max_record_bytes=1000)) == [
        ("row 1", "too-large"),
        ("row 2", {"a": "1", "b": "2"}),
    ]


# Parquet


def parquet(columns: dict[str, Any] | pa.Table, **settings: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), out, **settings)
    return out.getvalue()


def test_parquet_values_become_what_json_knows_and_bytes_stay():
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    table = pa.table(
        {
            "int": pa.array([1, None]),
            "float": [0.5, math.inf],
            "bool": [True, None],
            "text": pa.array(["é", None], pa.large_string()),
            "dict": pa.array(["x", "x"]).dictionary_encode(),
            "bytes": [b"\xff\0", None],
            "list": [[1, 2], None],
            "struct": [{"bytes": b"\x89PNG", "path": "a.png"}, {"bytes": None, "path": None}],
            "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
            "day": [date(2026, 1, 2), None],
            "moment": pa.array([moment, None], pa.timestamp("us", "UTC")),
            "nanos": pa.array([1, None], pa.timestamp("ns")),
            "decimal": pa.array([Decimal("1.10"), None]),
            "span": pa.array([timedelta(seconds=1.5), None]),
            "days": pa.array([[date(2026, 1, 2)], []]),
        }
    )
    first, second = (item.fields for item in read("parquet", parquet(table)))  # type: ignore[union-attr]
    assert first == {
        "int": 1,
        "float": 0.5,
        "bool": True,
        "text": "é",
        "dict": "x",
        "bytes": b"\xff\0",
        "list": [1, 2],
        "struct": {"bytes": b"\x89PNG", "path": "a.png"},
        "map": {"k": 1},
        "day": "2026-01-02",
        "moment": "2026-01-02T03:04:05.000678+00:00",
        "nanos": "1970-01-01T00:00:00.000000001",
        "decimal": "1.10",
        "span": 1.5,
        "days": ["2026-01-02"],
    }
    assert second["float"] == math.inf and second["struct"] == {"bytes": None, "path": None}
    assert all(
        second[name] in (None, [])
        for name in ("int", "text", "bytes", "list", "day", "moment", "nanos", "decimal", "span", "days")
    )


def test_rows_are_numbered_over_batches_and_row_groups():
    items = read("parquet", parquet({"n": list(range(1000))}, row_group_size=300))
    assert shape(items) == [(f"row {n + 1}", {"n": n}) for n in range(1000)]


def test_one_unreadable_value_does_not_take_the_others_with_it():
    bad = pa.Array.from_buffers(pa.string(), 3, pa.array([b"one", b"\xff\xff\xff", b"two"]).buffers())
    items = read("parquet", parquet(pa.table({"text": bad})))
    assert shape(items) == [("row 1", {"text": "one"}), ("row 2", "unreadable-value"), ("row 3", {"text": "two"})]
    assert items[1].excerpt.startswith("text: ")  # type: ignore[union-attr]


def test_columns_of_one_name_are_told_apart():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert shape(read("parquet", parquet(table))) == [("row 1", {"a": 1, "a_2": 2})]


# text


@pytest.mark.parametrize(
    ("split_on", "expected"),
    [
        ("file", [("", "one\r\nstill one\n\n \ntwo\n\n")]),
        ("paragraphs", [("line 1", "one\r\nstill one"), ("line 5", "two")]),
        ("lines", [("line 1", "one"), ("line 2", "still one"), ("line 5", "two")]),
    ],
)
def test_text_is_split_as_asked_and_kept_as_it_stands(split_on, expected):
    items = read("text", b"one\r\nstill one\n\n \ntwo\n\n", split_on=split_on)
    assert [(item.locator, item.text) for item in items] == expected  # type: ignore[union-attr]


@pytest.mark.parametrize("split_on", ["file", "paragraphs", "lines"])
def test_empty_and_undecodable_text_is_refused(split_on):
    for data in (b"", b" \n\t\n"):
        assert shape(read("text", data, split_on=split_on)) == [("", "empty-text")]
    rejects = shape(read("text", b"caf\xe9\n", split_on=split_on))
    assert rejects == [("" if split_on == "file" else "line 1", "invalid-utf8")]
    assert [reason for _, reason in shape(read("text", b"x" * 99, split_on=split_on, max_record_bytes=50))] == ["too-large"]
