"""`ingest` of rows in memory, of names that are slips of the pen, of strings where lists are meant, and updates taken back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from curate.errors import InputError, SettingError
from curate.steps.check import check
from curate.steps.ingest import ingest
from curate.steps.revert import revert
from curate.workspace import Workspace, create_workspace, open_workspace

ROWS = [{"text": "one", "label": "a", "n": 1}, {"text": "two", "label": "b", "n": 2}, {"text": "two", "label": "b", "n": 2}]


@pytest.fixture
def ws(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        yield workspace


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def kept(ws: Workspace, columns: str = "text, label, external_id, metadata::VARCHAR") -> list[tuple]:
    return ws.catalog.rows(f"SELECT {columns} FROM real_samples ORDER BY sample_id")


# ── rows in memory ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "given",
    [
        lambda: ROWS,
        lambda: iter(ROWS),
        lambda: (row for row in ROWS),
        lambda: pd.DataFrame(ROWS),
        lambda: pd.DataFrame(ROWS, index=["x", "y", "z"]),
        lambda: pa.Table.from_pylist(ROWS),
    ],
    ids=["list", "iterator", "generator", "frame", "indexed frame", "arrow"],
)
def test_rows_in_memory_are_read_like_those_of_a_file_and_a_second_time_add_nothing(ws, tmp_path, given):
    ingest(ws, write(tmp_path / "rows.jsonl", ROWS), dataset="file", text="text", label="label")
    report = ingest(ws, given(), dataset="memory", text="text", label="label", name="mine")
    assert (report.read, report.added) == (3, 3)
    found = kept(ws, "text, label, metadata::VARCHAR, content_hash, occurrence")
    assert found[:3] == found[3:]
    again = ingest(ws, given(), dataset="memory", text="text", label="label", name="mine")
    assert (again.read, again.added, again.unchanged) == (3, 0, 3)
    other = ingest(ws, given(), dataset="memory", text="text", label="label", name="another")
    assert other.added == 3
    assert check(ws).findings == ()


def test_a_row_that_is_none_is_a_reject_and_numpy_values_are_plain(ws):
    frame = pd.DataFrame({"text": ["a", None], "when": pd.to_datetime(["2026-01-02", "2026-01-03"]), "n": [1.5, float("nan")]})
    report = ingest(ws, [*frame.to_dict("records"), "no row"], dataset="d", text="text")
    assert (report.added, report.reject_reasons) == (1, {"no-text": 1, "not-an-object": 1})
    assert json.loads(kept(ws, "metadata::VARCHAR")[0][0]) == {"when": "2026-01-02T00:00:00", "n": 1.5}
    with pytest.raises(SettingError, match="slash"):
        ingest(ws, [{"text": "a"}], dataset="d", name="a/b")


# ── a string is one item ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_string_where_a_list_is_meant_is_one_item(ws, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.jsonl", [{"t": "one"}])
    write(tmp_path / "in" / "b.jsonl", [{"t": "two"}])
    monkeypatch.chdir(tmp_path / "in")
    assert ingest(ws, "./", dataset="d", text="t", exclude="b.jsonl").added == 1
    assert ingest(ws, Path(), dataset="d", text="t", include="b*").added == 1
    assert kept(ws, "text") == [("one",), ("two",)]


# ── names that are slips of the pen ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rows", [1, 3, 50])
@pytest.mark.parametrize(
    ("named", "near"),
    [
        ({"text": "txet"}, "text"),
        ({"label": "lable"}, "label"),
        ({"id": "nmuber"}, "number"),
        ({"text": "messages.0.contnt"}, "messages.0.content"),
        ({"label": "meta.topics"}, "meta.topic"),
        ({"label": "LABEL"}, "label"),
    ],
)
def test_a_name_that_no_row_has_is_an_error_that_names_what_is_near(ws, rows, named, near):
    given = [
        {"text": f"t{n}", "label": "x", "number": n, "messages": [{"content": "c"}], "meta": {"topic": "y"}}
        for n in range(rows)
    ]
    option, name = next(iter(named.items()))
    with pytest.raises(SettingError) as wrong:
        ingest(ws, given, dataset="d", **{"text": "text", **named})
    assert repr(name) in str(wrong.value) and f"--{option} {near}" in (wrong.value.hint or "")
    assert kept(ws) == [] and ws.catalog.scalar("SELECT count(*) FROM datasets") == 0


def test_a_field_that_some_rows_lack_is_a_note_with_the_count(ws):
    rows = [{"text": "a"}, {"text": "b", "label": "x"}, {"text": "c"}, {"text": "d", "label": None}]
    report = ingest(ws, rows, dataset="d", label="label")
    assert report.added == 4 and any("'label' (--label) is missing in 2 rows" in note for note in report.notes)
    grown = ingest(ws, [*rows, {"text": "e"}], dataset="d", label="label")
    assert grown.added == 1


# ── updates ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_update_without_the_label_leaves_labels_alone(ws, tmp_path):
    file = write(tmp_path / "a.jsonl", [{"text": f"t{n}", "label": "x", "id": n, "k": 1} for n in range(5)])
    ingest(ws, [file], dataset="d", text="text", label="label", id="id")
    report = ingest(ws, [file], dataset="d", text="text", update=True)
    assert [row[1:3] for row in kept(ws)] == [("x", str(n)) for n in range(5)]
    assert [change.field for change in report.changes] == ["metadata"] and report.updated == 5


def test_a_row_that_lacks_the_field_keeps_its_label_and_one_whose_field_is_empty_loses_it(ws):
    ingest(
        ws, [{"text": "a", "label": "x"}, {"text": "b", "label": "x"}, {"text": "c", "label": "x"}], dataset="d", label="label"
    )
    later = [{"text": "a"}, {"text": "b", "label": None}, {"text": "c", "label": "y"}]
    report = ingest(ws, later, dataset="d", label="label", update=True)
    assert kept(ws, "label") == [("x",), (None,), ("y",)]
    (change,) = report.changes
    assert (change.field, change.samples) == ("label", 2)
    assert [tuple(example)[1:] for example in change.examples] == [("x", None), ("x", "y")]


def test_what_an_update_changed_is_taken_back_and_that_too(ws):
    ingest(ws, [{"text": "a", "label": "x", "k": 1}, {"text": "b", "label": "x", "k": 1}], dataset="d", label="label")
    before = kept(ws)
    changed = ingest(ws, [{"text": "a", "label": "y", "k": 2}, {"text": "b", "label": "z", "k": 1}], dataset="d",
                     label="label", update=True)  # fmt: skip
    after = kept(ws)
    assert before != after
    back = revert(ws, changed.run_id)
    assert kept(ws) == before and (back.values, back.left) == (3, 0)
    revert(ws, back.run_id)
    assert kept(ws) == after
    assert check(ws).findings == ()
    with pytest.raises(InputError, match="no run 99"):
        revert(ws, 99)
    with pytest.raises(InputError, match="changed no label"):
        revert(ws, 1)


def test_what_changed_since_an_update_is_not_taken_back(ws):
    ingest(ws, [{"text": "a", "label": "x"}, {"text": "b", "label": "x"}], dataset="d", label="label")
    first = ingest(ws, [{"text": "a", "label": "y"}, {"text": "b", "label": "y"}], dataset="d", label="label", update=True)
    ingest(ws, [{"text": "a", "label": "z"}], dataset="d", label="label", update=True)
    back = revert(ws, first.run_id)
    assert (back.values, back.left) == (1, 1) and kept(ws, "label") == [("z",), ("x",)]


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_names_that_are_not_utf_8_are_counted_and_end_nothing(ws, tmp_path):
    folder = os.fsencode(tmp_path / "in")
    os.makedirs(folder + b"/caf\xe9")  # noqa: PTH103 (bytes)
    for name in (b"/good.txt", b"/bad\xff.txt", b"/caf\xe9/inside.txt"):
        with open(folder + name, "wb") as file:  # noqa: PTH123 (bytes)
            file.write(b"words")
    report = ingest(ws, tmp_path / "in", dataset="d")
    assert report.added == 1 and report.skipped == {"name-is-not-utf-8": 2}
    with pytest.raises(InputError, match=r"bad\\udcff"):
        ingest(ws, os.fsdecode(folder + b"/bad\xff.txt"), dataset="d")


def test_files_without_records_are_counted_and_named_also_the_second_time(ws, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.jsonl").write_text("")
    write(tmp_path / "in" / "a.jsonl", [{"text": "a"}])
    for _ in range(2):
        report = ingest(ws, tmp_path / "in", dataset="d")
        assert report.files_empty == 1 and any("1 file holds no records: empty.jsonl" in note for note in report.notes)


def test_what_a_killed_write_left_is_swept_by_the_next_writer(tmp_path):
    with open_workspace(create_workspace(tmp_path / "ws")) as ws:
        leftover = ws.real.root / "ab" / f"ab{'0' * 62}.png.12345678.tmp"
        leftover.parent.mkdir()
        leftover.write_bytes(b"half")
        ws.real.write([("ab/whole.png", b"x")])
        assert not leftover.exists() and ws.real.read("ab/whole.png") == b"x"
