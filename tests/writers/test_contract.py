"""Laws that every registered writer keeps."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import plugins
from curate.errors import SettingError, WorkError
from curate.records import takes
from curate.testing import check_writer
from curate.testing.export_rows import NASTY_LABELS, NASTY_TEXTS, empty_info, export_row, info_of, picture
from curate.testing.writers import hashes
from curate.writers import ExportInfo, ExportRow
from curate.writers.layout.files import file_facts
from curate.writers.marking.iptc import read_mark

from .exports import read_back

WRITERS = plugins.names("writers")
TEXT = [name for name in WRITERS if takes(plugins.load("writers", name).modalities, "text")]
IMAGE = [name for name in WRITERS if takes(plugins.load("writers", name).modalities, "image")]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(NASTY_TEXTS)
labels = st.none() | st.sampled_from(NASTY_LABELS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
values = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts
metadata = st.dictionaries(
    st.sampled_from(["a", "b", "label", "Text", "orig_file_name", "é,\n"]), values | st.lists(values, max_size=2), max_size=3
)
parts = st.sampled_from(["train", "validation", "test"])


def export(format_: str, rows: list[ExportRow], folder: Path, info: ExportInfo) -> Any:
    return plugins.load("writers", format_)().write(iter(rows), folder, info)


def as_csv(value: str | None) -> str:
    """The documented change of a cell that a spreadsheet would run."""
    return "" if value is None else ("'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") and value else value)


@st.composite
def text_rows(draw: st.DrawFn) -> list[ExportRow]:
    rows = []
    for sample_id in draw(st.lists(st.integers(1, 2**40), unique=True, max_size=8)):
        drawn = {"model": draw(texts), "seed": draw(st.integers(0, 2**62))} if draw(st.booleans()) else {}
        fields = {"label": draw(labels), "metadata": draw(metadata), "external_id": draw(st.none() | texts)}
        rows.append(export_row(sample_id, text=draw(texts), part=draw(parts), **fields, **drawn))
    return rows


@pytest.mark.parametrize("format_", WRITERS)
def test_it_keeps_the_laws_of_its_family(format_: str) -> None:
    check_writer(plugins.load("writers", format_), partial(read_back, format_))


@pytest.mark.parametrize("format_", IMAGE)
def test_a_text_among_images_stops_the_export(format_: str, tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="sample 1"):
        export(format_, [export_row(1, text="a text")], tmp_path, empty_info("image"))


@pytest.mark.parametrize("format_", TEXT)
@settings(deadline=None, max_examples=20)
@given(rows=text_rows())
def test_every_text_row_is_found_again_with_its_label_and_origin(format_: str, rows: list[ExportRow]) -> None:
    info = info_of(rows, "text")
    with tempfile.TemporaryDirectory() as name:
        written = export(format_, rows, Path(name), info)
        found = read_back(format_, Path(name), info)
        assert set(written.files) == set(hashes(Path(name)))
    assert found.keys() == {row.sample_id for row in rows}
    for row in rows:
        for field in ("text", "label", "origin", "dataset", "part", "content_hash", "locator", "external_id", "model", "seed"):
            wanted, got = getattr(row, field), found[row.sample_id][field]
            if format_ == "csv":
                wanted = str(wanted) if isinstance(wanted, int) else as_csv(wanted)
            assert got == wanted, field
    assert sum(written.rows.values()) == len(rows)
    assert all(written.rows[part] == sum(row.part == part for row in rows) for part in info.parts if part)


@pytest.mark.parametrize("format_", TEXT)
@settings(deadline=None, max_examples=15)
@given(rows=text_rows())
def test_no_metadata_is_lost(format_: str, rows: list[ExportRow]) -> None:
    info = info_of(rows, "text")
    with tempfile.TemporaryDirectory() as name:
        export(format_, rows, Path(name), info)
        found = read_back(format_, Path(name), info)
    for row in rows:
        columns = found[row.sample_id]
        rest = json.loads(columns.get("metadata") or "{}")
        for key, value in row.metadata.items():
            if key not in info.types:
                assert rest[key] == value
            elif format_ != "csv":
                name_of = {"label": "meta_label", "Text": "meta_Text"}
                assert columns[name_of.get(key, key)] == value


@pytest.mark.parametrize("format_", IMAGE)
def test_synthetic_images_go_out_marked_and_real_ones_untouched(format_: str, tmp_path: Path) -> None:
    rows = [
        export_row(1, media=picture(1), label="a"),
        export_row(2, media=picture(2), label="a", model="digits-diffusion-1", seed=7),
        export_row(3, media=picture(3, "GIF"), label="b", suffix=".gif", model="digits-diffusion-1", seed=8),
    ]
    info = info_of(rows, "image")
    written = export(format_, rows, tmp_path, info)
    found = read_back(format_, tmp_path, info)
    assert found[1]["image"] == rows[0].media
    assert read_mark(found[2]["image"]) == {
        "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "model": "digits-diffusion-1",
        "seed": 7,
    }
    assert found[3]["image"] == rows[2].media
    assert any("1 .gif" in note for note in written.notes)


@pytest.mark.parametrize("format_", [name for name in TEXT if name in IMAGE])
def test_texts_and_images_stand_side_by_side(format_: str, tmp_path: Path) -> None:
    rows = [export_row(1, media=picture(1), label="a"), export_row(2, text="two", label="b")]
    info = info_of(rows, "mixed")
    export(format_, rows, tmp_path, info)
    found = read_back(format_, tmp_path, info)
    assert found[1]["image"] == rows[0].media and not found[1].get("text")
    assert found[2]["text"] == "two" and not found[2].get("image")


@pytest.mark.parametrize(
    ("format_", "pattern"),
    [("parquet", "train-*-of-*.parquet"), ("huggingface", "data/train-*"), ("webdataset", "train-*.tar")],
)
def test_a_large_part_is_cut_into_shards_and_nothing_is_lost(format_: str, pattern: str, tmp_path: Path) -> None:
    rows = [export_row(n, text="x" * 1000, part="train") for n in range(50)]
    info = info_of(rows, "text", shard_size="10KB")
    export(format_, rows, tmp_path, info)
    shards = list(tmp_path.glob(pattern))
    assert len(shards) >= 5
    assert read_back(format_, tmp_path, info).keys() == set(range(50))
    if format_ == "webdataset":
        assert all(shard.stat().st_size <= 10_240 for shard in shards)


def test_csv_counts_the_cells_it_prefixed_and_raw_leaves_them(tmp_path: Path) -> None:
    rows = [export_row(1, text="=1+1", label="-x"), export_row(2, text="plain", metadata={"=key": -3})]
    for name, options, wanted in [("safe", {}, "'=1+1"), ("raw", {"raw": True}, "=1+1")]:
        (tmp_path / name).mkdir()
        info = info_of(rows, "text", **options)
        written = export("csv", rows, tmp_path / name, info)
        found = read_back("csv", tmp_path / name, info)
        assert found[1]["text"] == wanted
        assert found[2]["'=key" if name == "safe" else "=key"] == "-3"
        assert [note.split()[0] for note in written.notes] == (["3"] if name == "safe" else [])


@pytest.mark.parametrize("size", ["0", "-1", "big", "1.5XB", ""])
def test_a_shard_size_that_is_none_is_refused(size: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="shard_size"):
        export("parquet", [], tmp_path, empty_info("text", shard_size=size))


def test_file_facts_are_those_of_the_files(tmp_path: Path) -> None:
    written = export("jsonl", [export_row(1, media=picture(1))], tmp_path, info_of([export_row(1)], "image"))
    facts = list(file_facts(tmp_path, written.files))
    assert {fact.path: fact.sha256 for fact in facts} == hashes(tmp_path)
    assert all((tmp_path / fact.path).stat().st_size == fact.size for fact in facts)
