"""The laws of ingest: every record is accounted for, and reading again adds nothing."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from curate import plugins
from curate.errors import InputError, SettingError
from curate.ingestion import asked, reading_pass
from curate.readers.opening import sources as listing
from curate.steps.ingest import IngestReport, ingest
from curate.workspace import Workspace, create_workspace, open_workspace

BAD_JSON = '{"text": "cut of'


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    return tmp_path / "corpus"


def png(shade: int, size: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (size, size), (shade, 255 - shade, 7)).save(out, "PNG")
    return out.getvalue()


def write_rows(path: Path, texts: list[str], bad: int = 0, labels: list[str] | None = None) -> Path:
    """A JSONL file, its broken lines spread among the others."""
    made = [json.dumps({"text": t, "label": (labels or ["a"] * len(texts))[n]}) for n, t in enumerate(texts)]
    for n in range(bad):
        made.insert((n * 3) % (len(made) + 1), BAD_JSON)
    path.write_text("".join(line + "\n" for line in made))
    return path


def touch(path: Path, seconds: int = 5) -> None:
    """Give a file another time, as an editor would."""
    info = path.stat()
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + seconds * 10**9))


def check(workspace: Workspace, report: IngestReport) -> IngestReport:
    """The account is whole, and what it says is what the catalog holds."""
    assert report.read == report.added + report.unchanged + report.rejected
    assert sum(report.reject_reasons.values()) == report.rejected
    added = workspace.catalog.scalar("SELECT count(*) FROM real_samples WHERE run_id = ?", [report.run_id])
    assert added == report.added
    status, counts = workspace.catalog.rows("SELECT status, counts FROM runs WHERE run_id = ?", [report.run_id])[0]
    assert status == "done"
    assert {name: getattr(report, name) for name in json.loads(counts)} == json.loads(counts)
    for complete, read, rejected, held, kept in workspace.catalog.rows(
        """SELECT complete, read, rejected, (SELECT count(*) FROM rejects r WHERE r.source_id = s.source_id),
                  (SELECT count(*) FROM real_samples r WHERE r.source_id = s.source_id) FROM sources s"""
    ):
        assert complete and rejected == held and read - rejected <= kept
    return report


def contents(workspace: Workspace, dataset: str | None = None) -> Counter:
    """Every sample but for its ids, runs and times."""
    return Counter(
        workspace.catalog.rows(
            """SELECT d.name, o.uri, s.locator, s.modality, s.content_hash, s.occurrence, s.external_id, s.label, s.text,
                      s.blob, s.size_bytes, s.width, s.height, s.metadata::VARCHAR
               FROM real_samples s JOIN datasets d USING (dataset_id) JOIN sources o USING (source_id)
               WHERE ? IS NULL OR d.name = ?""",
            [dataset, dataset],
        )
    )


# ── every kind of file ──────────────────────────────────────────────────────────────────────────────────────────────


def csv_bytes(texts: list[str], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([("text", "label"), *((t, "a") for t in texts)])
    return out.getvalue().encode()


def parquet_bytes(texts: list[str]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": texts, "label": ["a"] * len(texts)}), out)
    return out.getvalue()


def tar_bytes(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def jsonl_bytes(texts: list[str]) -> bytes:
    return "".join(json.dumps({"text": t, "label": "a"}) + "\n" for t in texts).encode()


def files_of_every_kind(texts: list[str]) -> dict[str, tuple[bytes, int, int]]:
    """Name → bytes, records that are taken, records that are rejected."""
    n = len(texts)
    return {
        "a.jsonl": (jsonl_bytes(texts) + BAD_JSON.encode() + b"\n", n, 1),
        "b.jsonl.gz": (gzip.compress(jsonl_bytes(texts)), n, 0),
        "c.jsonl.zst": (zstandard.ZstdCompressor().compress(jsonl_bytes(texts) + b"[1]\n"), n, 1),
        "d.json": (json.dumps([{"text": t, "label": "b"} for t in texts]).encode(), n, 0),
        "e.csv": (csv_bytes(texts) + b"ragged\r\n", n, 1),
        "f.tsv": (csv_bytes(texts, "\t"), n, 0),
        "g.parquet": (parquet_bytes(texts), n, 0),
        "h.txt": (b"one document\nof two lines", 1, 0),
        "i.md": (b"# A title\n\ntext", 1, 0),
        "j.png": (png(1), 1, 0),
        "k.png": (png(2)[:50], 0, 1),
        "l.tar.gz": (tar_bytes({"x.jsonl": jsonl_bytes(texts), "y.png": png(3), "z.txt": b"  "}), n + 1, 1),
        "m.zip": (zip_bytes({"x.csv": csv_bytes(texts), "sub/y.md": b"words"}), n + 1, 0),
    }


def test_the_table_of_kinds_has_every_reader():
    suffixes = {Path(name).suffix for name in files_of_every_kind(["x"])}
    for name in plugins.names("readers"):
        assert suffixes & set(plugins.load("readers", name).suffixes), name


simple_texts = st.lists(st.text(st.characters(codec="utf-8", categories=("L", "N", "S")), min_size=1, max_size=12), max_size=8)


@given(simple_texts)
@settings(deadline=None, max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_record_of_every_kind_of_file_is_accounted_for_once(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("kinds")
    texts = texts or ["lone"]
    files = files_of_every_kind(texts)
    for name, (data, _, _) in files.items():
        (folder / name).write_bytes(data)
    (folder / "README").write_text("no reader takes this")
    with open_workspace(create_workspace(folder / "ws")) as workspace:
        named = [folder / name for name in files]
        first = check(workspace, ingest(workspace, named, dataset="all", text=["text"], label="label"))
        assert (first.added, first.rejected) == (sum(t for _, t, _ in files.values()), sum(r for _, _, r in files.values()))
        assert first.files == len(files) and first.files_unchanged == 0
        for name, (_, taken, rejected) in files.items():
            found = workspace.catalog.rows("SELECT read, rejected FROM sources WHERE uri = ?", [str((folder / name).resolve())])
            assert found == [(taken + rejected, rejected)], name
        held = contents(workspace)
        again = check(workspace, ingest(workspace, named, dataset="all", text=["text"], label="label"))
        assert (again.read, again.added, again.rejected) == (first.read, 0, first.rejected)
        assert again.files_unchanged == len(files) and again.bytes_read == 0
        for name in files:
            touch(folder / name)
        forced = check(workspace, ingest(workspace, named, dataset="all", text=["text"], label="label"))
        assert (forced.read, forced.added, forced.rejected, forced.files_unchanged) == (first.read, 0, first.rejected, 0)
        assert contents(workspace) == held


# ── reading again ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_run_opens_no_file(workspace, corpus, monkeypatch):
    write_rows(corpus / "a.jsonl", ["one", "two"], bad=1)
    first = ingest(workspace, [corpus], dataset="d")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(asked, "read_file", refuse)
    second = check(workspace, ingest(workspace, [corpus], dataset="d"))
    assert (second.read, second.unchanged, second.rejected) == (first.read, first.added, first.rejected)
    touch(corpus / "a.jsonl")
    with pytest.raises(AssertionError, match="was opened"):
        ingest(workspace, [corpus], dataset="d")


def test_other_settings_read_the_same_file_again(workspace, corpus):
    (corpus / "a.csv").write_text("q,a\nwhy,because\nwho,me\n")
    assert ingest(workspace, [corpus], dataset="d", text=["q"]).added == 2
    more = check(workspace, ingest(workspace, [corpus], dataset="d", text=["q", "a"]))
    assert (more.added, more.files_unchanged) == (2, 0)
    assert {row[0] for row in workspace.catalog.rows("SELECT text FROM real_samples")} == {
        "why",
        "who",
        "why\n\nbecause",
        "who\n\nme",
    }


def test_a_changed_file_adds_only_its_new_records_and_nothing_is_deleted(workspace, corpus):
    write_rows(corpus / "a.jsonl", ["one", "two", "three"])
    ingest(workspace, [corpus], dataset="d")
    before = workspace.catalog.rows("SELECT sample_id, text FROM real_samples ORDER BY sample_id")
    write_rows(corpus / "a.jsonl", ["four", "three", "one", "five"])
    touch(corpus / "a.jsonl")
    report = check(workspace, ingest(workspace, [corpus], dataset="d"))
    assert (report.read, report.added, report.unchanged) == (4, 2, 2)
    after = workspace.catalog.rows("SELECT sample_id, text FROM real_samples ORDER BY sample_id")
    assert after[:3] == before and {text for _, text in after[3:]} == {"four", "five"}


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), min_size=1, max_size=4), st.sampled_from([1, 2, 3, 8192]))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equal_records_of_a_file_are_numbered_and_a_file_that_grows_gains_the_difference(tmp_path_factory, versions, batch):
    folder = tmp_path_factory.mktemp("versions")
    most: Counter = Counter()
    with pytest.MonkeyPatch.context() as patch, open_workspace(create_workspace(folder / "ws")) as workspace:
        patch.setattr(reading_pass, "BATCH_RECORDS", batch)
        for number, texts in enumerate(versions):
            write_rows(folder / "a.jsonl", texts)
            touch(folder / "a.jsonl", number)
            report = check(workspace, ingest(workspace, [folder / "a.jsonl"], dataset="d"))
            grown = most | Counter(texts)
            assert (report.read, report.added) == (len(texts), grown.total() - most.total())
            most = grown
            rows = workspace.catalog.rows("SELECT text, occurrence FROM real_samples ORDER BY ALL")
            assert rows == sorted((text, nth) for text, count in most.items() for nth in range(count))


def test_rejects_are_kept_with_reason_and_place_and_not_doubled_by_reading_again(workspace, corpus):
    write_rows(corpus / "a.jsonl", ["one", "two"], bad=2)
    (corpus / "b.jsonl").write_text('{"text": ""}\n7\n')
    ingest(workspace, [corpus], dataset="d")
    statement = (
        "SELECT o.uri, r.locator, r.reason, length(r.excerpt) > 0 FROM rejects r JOIN sources o USING (source_id) ORDER BY ALL"
    )
    held = workspace.catalog.rows(statement)
    where = [(Path(uri).name, locator, reason) for uri, locator, reason, _ in held]
    assert where == [
        ("a.jsonl", "line 1", "invalid-json"),
        ("a.jsonl", "line 4", "invalid-json"),
        ("b.jsonl", "line 1", "empty-text"),
        ("b.jsonl", "line 2", "not-an-object"),
    ]
    touch(corpus / "a.jsonl")
    check(workspace, ingest(workspace, [corpus], dataset="d"))
    assert workspace.catalog.rows(statement) == held
    write_rows(corpus / "a.jsonl", ["one", "two"])
    touch(corpus / "a.jsonl", 20)
    mended = check(workspace, ingest(workspace, [corpus], dataset="d"))
    assert mended.rejected == 2 and [r for r in workspace.catalog.rows(statement) if r[0].endswith("a.jsonl")] == []


def test_changed_labels_are_counted_and_taken_over_only_when_asked(workspace, corpus):
    labels = ["a", "b", "c"]
    write_rows(corpus / "a.jsonl", ["one", "two", "three"], labels=labels)
    ingest(workspace, [corpus], dataset="d", label="label")
    write_rows(corpus / "a.jsonl", ["one", "two", "three"], labels=["a", "x", "y"])
    touch(corpus / "a.jsonl")
    seen = check(workspace, ingest(workspace, [corpus], dataset="d", label="label"))
    assert (seen.unchanged, seen.changed, seen.updated) == (3, 2, 0) and "2 records" in seen.notes[0]
    read = "SELECT text, label FROM real_samples ORDER BY sample_id"
    assert workspace.catalog.rows(read) == [("one", "a"), ("two", "b"), ("three", "c")]
    taken = check(workspace, ingest(workspace, [corpus], dataset="d", label="label", update=True))
    assert (taken.unchanged, taken.changed, taken.updated, taken.notes) == (3, 2, 2, ())
    assert workspace.catalog.rows(read) == [("one", "a"), ("two", "x"), ("three", "y")]
    again = ingest(workspace, [corpus], dataset="d", label="label", update=True)
    assert (again.changed, again.updated, again.added) == (0, 0, 0)


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_that_moved_is_another_source_whose_records_are_added(workspace, corpus):
    write_rows(corpus / "a.jsonl", ["one", "two"])
    ingest(workspace, [corpus], dataset="d")
    moved = corpus.with_name("moved")
    shutil.move(corpus, moved)
    report = check(workspace, ingest(workspace, [moved], dataset="d"))
    assert (report.added, report.unchanged) == (2, 0)
    assert workspace.catalog.rows("SELECT text, count(*) FROM real_samples GROUP BY text ORDER BY text") == [
        ("one", 2),
        ("two", 2),
    ]


def test_a_glob_a_folder_and_a_name_of_the_same_files_are_the_same_files(workspace, corpus, monkeypatch):
    for name in ("a", "b"):
        write_rows(corpus / f"{name}.jsonl", [name, "shared"])
    (corpus / "c.txt").write_text("not named")
    assert check(workspace, ingest(workspace, [str(corpus / "*.jsonl")], dataset="d")).added == 4
    monkeypatch.chdir(corpus)
    named = check(workspace, ingest(workspace, ["a.jsonl", Path("b.jsonl"), "../corpus/a.jsonl"], dataset="d"))
    assert (named.files, named.files_unchanged, named.added) == (2, 2, 0)
    folder = check(workspace, ingest(workspace, ["."], dataset="d"))
    assert (folder.files, folder.files_unchanged, folder.added) == (3, 2, 1)


def test_labels_come_from_the_folder_or_the_file_name(workspace, corpus):
    for label in ("cat", "dog"):
        (corpus / label).mkdir()
        for n in range(2):
            (corpus / label / f"{label}_{n}.png").write_bytes(png(n + (50 if label == "cat" else 90)))
    ingest(workspace, [corpus], dataset="folders", label_from="folder")
    ingest(workspace, [corpus], dataset="names", label_from=r"file-name ([a-z]+)_")
    for dataset in ("folders", "names"):
        rows = workspace.catalog.rows("SELECT label, count(*) FROM curated WHERE dataset = ? GROUP BY 1 ORDER BY 1", [dataset])
        assert rows == [("cat", 2), ("dog", 2)]


def test_include_and_exclude_choose_and_what_is_passed_over_is_counted(workspace, corpus):
    for name in ("a.jsonl", "b.jsonl", "c.txt"):
        (corpus / name).write_text('{"text": "' + name + '"}')
    (corpus / "notes.xyz").write_text("?")
    report = check(workspace, ingest(workspace, [corpus], dataset="d", include=["*.jsonl"], exclude=["b*"]))
    assert report.added == 1 and report.skipped["excluded"] >= 2
    assert sum(report.skipped.values()) == 3


def test_two_datasets_hold_the_same_file_apart(workspace, corpus):
    write_rows(corpus / "a.jsonl", ["one", "two"])
    assert ingest(workspace, [corpus], dataset="left").added == 2
    assert check(workspace, ingest(workspace, [corpus], dataset="right", licence="MIT", source="here", notes="n")).added == 2
    assert ingest(workspace, [corpus], dataset="left").added == 0
    assert workspace.catalog.rows("SELECT name, licence, source, notes FROM datasets ORDER BY name") == [
        ("left", None, None, None),
        ("right", "MIT", "here", "n"),
    ]


# ── batches ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(["x", "y", "käse", "z" * 40]), max_size=7), st.integers(0, 2)),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 4),
    st.sampled_from([1, 60, 2**25]),
)
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_where_a_batch_ends_changes_nothing(tmp_path_factory, files, batch_records, batch_bytes):
    folder = tmp_path_factory.mktemp("batches")
    for n, (texts, bad) in enumerate(files):
        write_rows(folder / f"{n}.jsonl", texts, bad)
    (folder / "p.png").write_bytes(png(9))
    (folder / "q.png").write_bytes(png(9)[:40])
    ended = []
    for name in ("large", "small"):
        with pytest.MonkeyPatch.context() as patch, open_workspace(create_workspace(folder / f".{name}")) as workspace:
            if name == "small":
                patch.setattr(reading_pass, "BATCH_RECORDS", batch_records)
                patch.setattr(reading_pass, "BATCH_BYTES", batch_bytes)
            report = check(workspace, ingest(workspace, [folder], dataset="d"))
            rejects = workspace.catalog.rows("SELECT locator, reason, excerpt FROM rejects ORDER BY ALL")
            sources = workspace.catalog.rows("SELECT uri, complete, read, rejected, skipped FROM sources ORDER BY ALL")
            ended.append((report.read, report.added, report.reject_reasons, contents(workspace), rejects, sources))
    assert ended[0] == ended[1]


def test_the_order_of_files_changes_no_content(workspace, corpus, tmp_path):
    names = ["a.jsonl", "b.jsonl", "c.jsonl"]
    for n, name in enumerate(names):
        write_rows(corpus / name, ["shared", f"own {n}", "shared"])
    ingest(workspace, [corpus / name for name in names], dataset="d")
    with open_workspace(create_workspace(tmp_path / "other")) as other:
        for name in reversed(names):
            ingest(other, [corpus / name], dataset="d")
        assert contents(other) == contents(workspace)


def test_media_lie_once_each_under_their_hash(workspace, corpus):
    for name, shade in (("a", 1), ("b", 1), ("c", 2)):
        (corpus / f"{name}.png").write_bytes(png(shade))
    (corpus / "cut.png").write_bytes(png(3)[:50])
    report = check(workspace, ingest(workspace, [corpus], dataset="d"))
    assert (report.added, report.rejected) == (3, 1)
    names = set(workspace.real.names())
    assert names == {row[0] for row in workspace.catalog.rows("SELECT blob FROM real_samples")} and len(names) == 2
    for name in names:
        assert hashlib.sha256(workspace.real.read(name)).hexdigest() in name


# ── mistakes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_mistakes_are_named_before_anything_is_written(workspace, corpus):
    with pytest.raises(InputError, match="nowhere"):
        ingest(workspace, [corpus / "nowhere"], dataset="d")
    (corpus / "a.xyz").write_text("?")
    with pytest.raises(InputError, match="nothing to read"):
        ingest(workspace, [corpus], dataset="d")
    write_rows(corpus / "a.jsonl", ["one"])
    with pytest.raises(SettingError, match="my set"):
        ingest(workspace, [corpus / "a.jsonl"], dataset="my set")
    assert workspace.catalog.scalar("SELECT count(*) FROM real_samples") == 0


def test_a_field_that_no_row_has_stops_the_run_and_leaves_it_failed(workspace, corpus):
    write_rows(corpus / "a.jsonl", [f"t{n}" for n in range(30)])
    with pytest.raises(SettingError, match="'body'"):
        ingest(workspace, [corpus], dataset="d", text=["body"])
    assert workspace.catalog.rows("SELECT status, error LIKE '%body%' FROM runs") == [("failed", True)]
    assert workspace.catalog.scalar("SELECT count(*) FROM real_samples") == 0


def test_a_file_without_the_field_is_rejected_alike_whether_its_neighbours_are_read_now_or_were_before(workspace, corpus):
    write_rows(corpus / "a.jsonl", ["one", "two"])
    (corpus / "b.jsonl").write_text("".join(f'{{"other": {n}}}\n' for n in range(30)))
    first = check(workspace, ingest(workspace, [corpus], dataset="d", text=["text"]))
    assert (first.added, first.reject_reasons) == (2, {"no-text": 30})
    touch(corpus / "b.jsonl")
    second = check(workspace, ingest(workspace, [corpus], dataset="d", text=["text"]))
    assert (second.unchanged, second.reject_reasons) == (2, {"no-text": 30})


def test_the_field_that_is_chosen_for_a_file_does_not_depend_on_the_files_before_it(workspace, corpus, tmp_path):
    write_rows(corpus / "a.jsonl", ["one"])
    (corpus / "b.jsonl").write_text('{"question": "why"}\n')
    (corpus / "c.jsonl").write_text('{"question": "who", "answer": "me"}\n')
    together = check(workspace, ingest(workspace, [corpus], dataset="d"))
    assert (together.added, together.reject_reasons) == (2, {"no-text": 1})
    touch(corpus / "c.jsonl")
    assert check(workspace, ingest(workspace, [corpus], dataset="d")).reject_reasons == {"no-text": 1}


def test_every_listed_file_is_read_by_the_name_that_the_catalog_keeps(workspace, corpus):
    (corpus / "sub").mkdir()
    write_rows(corpus / "sub" / "a.jsonl", ["one"])
    link = corpus.with_name("link")
    link.symlink_to(corpus)
    assert ingest(workspace, [link], dataset="d").added == 1
    assert ingest(workspace, [corpus], dataset="d").added == 0
    expected = [str(file.path) for file in listing.expand([corpus]).files]
    assert [row[0] for row in workspace.catalog.rows("SELECT uri FROM sources")] == expected


def test_a_first_ingest_that_cannot_work_leaves_no_empty_dataset_behind(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"number": 1}\n' * 30, encoding="utf-8")
    (tmp_path / "good.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        with pytest.raises(SettingError):
            ingest(workspace, [tmp_path / "rows.jsonl"], dataset="nothing")
        assert workspace.catalog.rows("SELECT name FROM datasets") == []
        ingest(workspace, [tmp_path / "good.jsonl"], dataset="kept")
        with pytest.raises(SettingError):
            ingest(workspace, [tmp_path / "rows.jsonl"], dataset="kept")
        assert workspace.catalog.rows("SELECT name FROM datasets") == [("kept",)]
        assert workspace.catalog.scalar("SELECT count(*) FROM curated") == 1
