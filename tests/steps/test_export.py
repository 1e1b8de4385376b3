"""The laws of an export: it holds exactly what was asked for, whole or not at all, and says where it comes from."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from curate import plugins
from curate.errors import InputError, SettingError, WorkspaceDamaged
from curate.steps.drop import drop
from curate.steps.export import ExportReport, export, parse_options
from curate.steps.ingest import ingest
from curate.steps.split import split
from curate.workspace import Workspace, create_workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def put_texts(workspace: Workspace, count: int = 40) -> None:
    path = workspace.root.parent / "a.jsonl"
    rows = [{"text": f"tale {n}", "label": f"l{n % 2}", "n": n, "deep": {"x": [n]}} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(workspace, [path], dataset="tales", text=["text"], label="label", licence="CC0-1.0", source="made up")


def put_images(workspace: Workspace, count: int = 6) -> None:
    for n in range(count):
        file = io.BytesIO()
        Image.new("L", (8, 6), 30 * n).save(file, "PNG")
        path = workspace.root.parent / "photos" / f"k{n % 2}" / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.getvalue())
    ingest(workspace, [workspace.root.parent / "photos"], dataset="photos", label_from="folder")


def draw(workspace: Workspace, split_id: int, *, labels: list[str], name: str = "poet", dataset_id: int = 1) -> None:
    """Insert a trained model and accepted draws, and one refused draw."""
    catalog = workspace.catalog
    model_id = catalog.scalar(
        """INSERT INTO models (name, family, dataset_id, settings, folder, checkpoint_hash, depth, run_id)
           VALUES (?, 'markov', ?, '{}', ?, 'x', 0, 1) RETURNING model_id""",
        [name, dataset_id, name],
    )
    catalog.execute("INSERT INTO model_sources VALUES (?, ?, ?, 'train')", [model_id, dataset_id, split_id])
    for n, label in enumerate([*labels, "l0"]):
        text = f"{name} drew {n}"
        catalog.execute(
            """INSERT INTO synthetic_samples (dataset_id, model_id, run_id, seed, draw_index, requested_label, settings, depth,
                   parents, modality, content_hash, label, text, size_bytes, status, refusal)
               VALUES (?, ?, 1, 5, ?, ?, '{}', 1, '[]', 'text', ?, ?, ?, ?, ?, ?)""",
            [
                dataset_id, model_id, n, label, hashlib.sha256(text.encode()).hexdigest(), label, text, len(text),
                *(("accepted", None) if n < len(labels) else ("refused", "copy")),
            ],
        )  # fmt: skip


def lines(folder: Path, part: str = "data") -> list[dict]:
    return [json.loads(line) for line in (folder / f"{part}.jsonl").read_text().splitlines()]


def check_manifest(report: ExportReport) -> dict:
    folder = Path(report.out)
    data = (folder / "manifest.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() == report.manifest_hash
    manifest = json.loads(data)
    listed = {file["path"]: file for file in manifest["files"]}
    on_disk = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert on_disk == listed.keys() | {"manifest.json"} and report.files == len(on_disk)
    for path, file in listed.items():
        content = (folder / path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["size"], file["sha256"])
    assert report.bytes == sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return manifest


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".") and p.name.endswith(".tmp")]


def test_a_dataset_is_its_curated_samples_in_order(workspace, tmp_path):
    put_texts(workspace)
    workspace.catalog.execute(
        "INSERT INTO verdicts (sample_id, owner, action, reason, run_id) VALUES (3, 'user', 'drop', 'user', 1)"
    )
    report = export(workspace, "tales", format="jsonl", out=tmp_path / "out")
    rows = lines(tmp_path / "out")
    expected = workspace.catalog.rows("SELECT sample_id, text, label, content_hash FROM curated ORDER BY sample_id")
    assert [(r["id"], r["text"], r["label"], r["content_hash"]) for r in rows] == expected
    assert report.rows == {"data": 39} and report.real == 39 and report.synthetic == 0
    assert {r["origin"] for r in rows} == {"real"} and {r["part"] for r in rows} == {None}
    assert rows[0]["locator"] == "a.jsonl line 1" and rows[5]["n"] == 6
    manifest = check_manifest(report)
    assert manifest["catalog"] == {"read": 40, "rejected": 0, "samples": 40, "kept": 39, "dropped": {"user": 1}}
    assert manifest["split"] is None
    card = (tmp_path / "out" / "README.md").read_text()
    assert "cc0-1.0" in card and "made up" in card
    assert str(tmp_path) not in "".join(json.dumps(r) for r in rows) + card
    assert json.loads((tmp_path / "out" / "croissant.json").read_text())["@type"] == "sc:Dataset"


@pytest.mark.parametrize("format_", ["parquet", "jsonl", "csv", "webdataset", "huggingface"])
def test_every_format_takes_all_parts_of_a_split(workspace, tmp_path, format_):
    put_texts(workspace)
    frozen = split(workspace, "tales", stratify="label")
    report = export(workspace, "tales/", format=format_, out=tmp_path / "out")
    assert report.rows == {part: facts.samples for part, facts in frozen.parts.items()}
    assert report.members_hash == frozen.members_hash
    manifest = check_manifest(report)
    assert manifest["split"]["members_hash"] == frozen.members_hash and manifest["split"]["reference"] == frozen.reference
    assert frozen.members_hash in (tmp_path / "out" / "README.md").read_text()


def test_a_part_is_its_frozen_members(workspace, tmp_path):
    put_texts(workspace)
    split(workspace, "tales")
    members = {row[0] for row in workspace.catalog.rows("SELECT sample_id FROM parts WHERE part = 'train'")}
    dropped = min(members)
    workspace.catalog.execute(
        "INSERT INTO verdicts (sample_id, owner, action, reason, run_id) VALUES (?, 'user', 'drop', 'user', 1)", [dropped]
    )
    report = export(workspace, "tales/train", format="jsonl", out=tmp_path / "out")
    assert {row["id"] for row in lines(tmp_path / "out", "train")} == members
    assert any("1 members" in note and "dropped" in note for note in report.notes)
    assert report.name == "tales@default:1/train"


def test_images_go_out_byte_for_byte(workspace, tmp_path):
    put_images(workspace)
    report = export(workspace, "photos", format="jsonl", out=tmp_path / "out")
    check_manifest(report)
    originals = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / "photos").rglob("*.png")}
    written = {hashlib.sha256((tmp_path / "out" / row["image"]).read_bytes()).hexdigest() for row in lines(tmp_path / "out")}
    assert written == originals and len(originals) == 6


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_blob_stops_the_export_and_leaves_nothing(workspace, tmp_path, damage):
    put_images(workspace)
    name = workspace.catalog.scalar("SELECT blob FROM real_samples ORDER BY sample_id DESC LIMIT 1")
    path = workspace.real.path(name)
    path.unlink() if damage == "gone" else path.write_bytes(b"x")
    with pytest.raises(WorkspaceDamaged, match=path.name):
        export(workspace, "photos", format="parquet", out=tmp_path / "out")
    assert not (tmp_path / "out").exists() and leftovers(tmp_path) == []
    assert workspace.catalog.scalar("SELECT status FROM runs ORDER BY run_id DESC LIMIT 1") == "failed"


def test_nothing_of_a_stranger_is_ever_deleted(workspace, tmp_path):
    put_texts(workspace)
    out = tmp_path / "out"
    out.mkdir()
    export(workspace, "tales", format="csv", out=out)  # an empty folder is welcome
    (out / "deep").mkdir()
    (out / "deep" / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match=r"mine\.txt"):
        export(workspace, "tales", format="jsonl", out=out)
    assert (out / "deep" / "mine.txt").read_text() == "precious" and (out / "data.csv").exists()
    report = export(workspace, "tales", format="jsonl", out=out, overwrite=True)
    check_manifest(report)
    assert (tmp_path / "out.before-1" / "deep" / "mine.txt").read_text() == "precious"
    assert any("out.before-1" in note for note in report.notes)
    (out / "manifest.json").write_text('{"files": []}')
    with pytest.raises(InputError, match="no export wrote"):
        export(workspace, "tales", format="csv", out=out)
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(InputError, match="is a file"):
        export(workspace, "tales", format="csv", out=file, overwrite=True)
    assert file.read_text() == "precious"


def times(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("format_", ["parquet", "jsonl", "csv", "webdataset", "huggingface"])
def test_the_same_export_again_finds_nothing_to_do_and_a_changed_one_takes_its_place(workspace, tmp_path, format_):
    put_texts(workspace)
    out = tmp_path / "out"
    first = export(workspace, "tales", format=format_, out=out)
    before = times(out)
    again = export(workspace, "tales", format=format_, out=out)
    assert first.changed and not again.changed and times(out) == before
    assert (again.rows, again.files, again.bytes, again.manifest_hash, again.notes) == (
        first.rows, first.files, first.bytes, first.manifest_hash, first.notes,
    )  # fmt: skip
    drop(workspace, [3])
    changed = export(workspace, "tales", format=format_, out=out)
    assert changed.changed and changed.rows == {"data": 39}
    check_manifest(changed)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("harm", ["cut", "altered", "gone"])
def test_an_export_that_somebody_damaged_is_written_anew(workspace, tmp_path, harm):
    put_texts(workspace)
    out = tmp_path / "out"
    export(workspace, "tales", format="jsonl", out=out)
    whole = (out / "data.jsonl").read_bytes()
    harmed = {"cut": whole[:-2], "altered": whole.replace(b"tale 7", b"tale 8"), "gone": None}[harm]
    (out / "data.jsonl").unlink() if harmed is None else (out / "data.jsonl").write_bytes(harmed)
    assert export(workspace, "tales", format="jsonl", out=out).changed
    assert (out / "data.jsonl").read_bytes() == whole


_KILLED = """
import sys, time
from pathlib import Path
from curate.exporting.folder import whole_folder
with whole_folder(Path(sys.argv[1])) as folder:
    (folder.path / "half").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_the_next_export_removes_what_a_killed_one_left_but_not_a_living_one(workspace, tmp_path):
    put_texts(workspace)
    with subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path / "out")], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        export(workspace, "tales", format="csv", out=tmp_path / "out")
        assert len(leftovers(tmp_path)) == 1
        process.kill()
    deadline = time.monotonic() + 20
    while leftovers(tmp_path) and time.monotonic() < deadline:
        export(workspace, "tales", format="csv", out=tmp_path / "out")
        drop(workspace, [workspace.catalog.scalar("SELECT min(sample_id) FROM curated")])
    assert leftovers(tmp_path) == []


def test_synthetic_rows_join_train_only_up_to_their_share_of_each_label(workspace, tmp_path):
    put_texts(workspace)
    split(workspace, "tales", stratify="label")
    draw(workspace, 1, labels=["l0"] * 30 + ["l1"] * 3 + ["unheard"] * 4)
    plain = export(workspace, "tales/train", format="jsonl", out=tmp_path / "plain")
    assert plain.synthetic == 0
    report = export(workspace, "tales/", format="jsonl", out=tmp_path / "out", include_synthetic=True, max_share=0.25)
    rows = [row for part in ("train", "validation", "test") for row in lines(tmp_path / "out", part)]
    drawn = [row for row in rows if row["origin"] == "synthetic"]
    assert {row["part"] for row in drawn} == {"train"} and {row["model"] for row in drawn} == {"poet"}
    real = Counter(row["label"] for row in rows if row["origin"] == "real" and row["part"] == "train")
    got = Counter(row["label"] for row in drawn)
    assert got == {"l0": real["l0"] // 3, "l1": 3}
    assert report.synthetic == len(drawn) and report.synthetic_left_out == 37 - len(drawn)
    assert not any("drew 37" in row["text"] for row in drawn)  # the refused one
    assert "poet" in (tmp_path / "out" / "README.md").read_text()
    for spec in ("tales", "tales/test", "tales/validation"):
        with pytest.raises(SettingError):
            export(workspace, spec, format="jsonl", out=tmp_path / "no", include_synthetic=True)
    with pytest.raises(SettingError, match="max_share"):
        export(workspace, "tales/", format="jsonl", out=tmp_path / "no", include_synthetic=True, max_share=1.0)


def test_draws_of_a_model_that_saw_held_out_samples_stay_out(workspace, tmp_path):
    put_texts(workspace)
    split(workspace, "tales", name="a", seed=1)
    split(workspace, "tales", name="b", seed=2)
    draw(workspace, 1, labels=["l0"] * 3, name="of-a")
    draw(workspace, 2, labels=["l0"] * 2, name="of-b")
    report = export(workspace, "tales@b/train", format="jsonl", out=tmp_path / "out", include_synthetic=True)
    assert {row["model"] for row in lines(tmp_path / "out", "train")} == {None, "of-b"}
    assert report.synthetic == 2 and any("of-a" in note for note in report.notes)


def test_wrong_requests_leave_nothing(workspace, tmp_path):
    put_texts(workspace)
    for kind, spec, more in (
        (SettingError, "tales", {"format": "papyrus"}),
        (SettingError, "tales", {"format": "imagefolder"}),
        (SettingError, "tales", {"format": "csv", "options": {"color": "red"}}),
        (InputError, "tails", {"format": "csv"}),
        (InputError, "tales/train", {"format": "csv"}),
    ):
        with pytest.raises(kind):
            export(workspace, spec, out=tmp_path / "out", **more)
    assert not (tmp_path / "out").exists() and leftovers(tmp_path) == []
    assert parse_options(["shard-size=1MB", "plain"]) == {"shard_size": "1MB", "plain": True}
    with pytest.raises(SettingError):
        parse_options(["=x"])


def test_every_writer_is_covered_here():
    assert set(plugins.names("writers")) == {"parquet", "jsonl", "csv", "webdataset", "huggingface", "imagefolder"}
