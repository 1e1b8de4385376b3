"""A table that grows is found again as it was after some whole addition, whatever happened to its files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from curate.workspace import append_table as _growing
from curate.workspace.append_table import MANIFEST, GrowingTable

WIDTH = 3


def rows(start: int, end: int) -> dict[str, np.ndarray]:
    """Two columns, of which each row tells its number."""
    numbers = np.arange(start, end)
    return {"id": numbers[:, None].astype(np.int64), "data": (numbers[:, None] * 10 + np.arange(WIDTH)).astype(np.uint8)}


def assert_holds(table: GrowingTable, count: int) -> None:
    assert len(table) == count
    for name, wanted in rows(0, count).items() if count else ():
        assert table.columns[name].dtype == wanted.dtype and (table.columns[name] == wanted).all()
        assert (table.read(name) == wanted).all()


def grown(folder: Path, *ends: int) -> GrowingTable:
    table = GrowingTable(folder)
    for start, end in zip((0, *ends), ends, strict=False):
        middle = (start + end) // 2
        table.extend(piece for piece in (rows(start, middle), rows(middle, end)) if len(piece["id"]))
        table = GrowingTable(folder)
    return table


@pytest.mark.parametrize("most", [64, 2])
def test_what_was_added_is_found_by_the_next(tmp_path, monkeypatch, most):
    monkeypatch.setattr(_growing, "MOST_SPANS", most)
    for number, end in enumerate((5, 6, 9, 20)):
        table = GrowingTable(tmp_path)
        table.extend([rows(len(table), end)], {"number": number})
        for again in (table, GrowingTable(tmp_path)):
            assert_holds(again, end)
            assert again.note == {"number": number}


def test_damage_ends_the_table_before_it_and_what_is_added_next_heals_it(tmp_path):
    for column in ("id", "data"):
        folder = tmp_path / column
        grown(folder, 4, 7, 9)
        file = folder / column
        whole = bytearray(file.read_bytes())
        whole[len(whole) * 5 // 9] ^= 4  # in the second span
        file.write_bytes(bytes(whole))
        table = GrowingTable(folder)
        assert_holds(table, 4)
        table.extend([rows(4, 9)])
        assert_holds(GrowingTable(folder), 9)


@pytest.mark.parametrize("damage", ["cut", "gone", "manifest", "empty manifest", "foreign manifest"])
def test_files_that_are_no_table_are_an_empty_one(tmp_path, damage):
    grown(tmp_path, 4)
    if damage == "cut":
        os.truncate(tmp_path / "data", 4)
    elif damage == "gone":
        (tmp_path / "id").unlink()
    else:
        text = {"manifest": '{"columns": {"id": [1, "no type"]}}', "empty manifest": "", "foreign manifest": "[1, 2]"}[damage]
        (tmp_path / MANIFEST).write_text(text)
    table = GrowingTable(tmp_path)
    assert_holds(table, 0)
    table.extend([rows(0, 3)])
    assert_holds(GrowingTable(tmp_path), 3)


def test_a_copy_whose_times_are_others_is_read_through_and_found_whole(tmp_path):
    grown(tmp_path, 4, 9)
    for name in ("id", "data"):
        os.utime(tmp_path / name, ns=(10**9, 10**9))
    assert_holds(GrowingTable(tmp_path), 9)


@pytest.mark.parametrize("name", [MANIFEST, "id", "data"])
def test_no_flipped_bit_is_believed_though_size_and_times_are_the_same(tmp_path, name):
    grown(tmp_path, 4, 7)
    file = tmp_path / name
    whole, times = file.read_bytes(), file.stat()
    for at in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        file.write_bytes(damaged)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        found = GrowingTable(tmp_path)
        assert len(found) in (0, 4)
        assert_holds(found, len(found))


def test_an_addition_that_fails_leaves_what_was_there(tmp_path):
    def failing():
        yield rows(4, 6)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grown(tmp_path, 4).extend(failing())
    table = GrowingTable(tmp_path)
    assert_holds(table, 4)
    table.extend([rows(4, 5)])
    assert_holds(GrowingTable(tmp_path), 5)


def test_other_columns_and_no_rows_are_refused(tmp_path):
    table = grown(tmp_path, 4)
    for other in ({"id": rows(4, 5)["id"]}, {**rows(4, 5), "data": np.zeros((1, WIDTH + 1), np.uint8)}):
        with pytest.raises(ValueError, match="are added to"):
            table.extend([other])
    with pytest.raises(ValueError, match="no row"):
        table.extend([])
    assert_holds(GrowingTable(tmp_path), 4)


def test_a_cleared_table_begins_anew(tmp_path):
    table = grown(tmp_path, 9)
    table.clear()
    assert_holds(table, 0)
    table.extend([{"other": np.ones((2, 1), np.int32)}])
    again = GrowingTable(tmp_path)
    assert len(again) == 2 and set(again.columns) == {"other"}
    again.extend([{"other": np.ones((2, 1), np.int32)}])
    assert {file.name for file in tmp_path.iterdir()} == {MANIFEST, "other"}
