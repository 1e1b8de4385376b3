"""A synthetic sample never becomes a real one, nor held-out data, by any public route."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from curate.catalog import models, runs, splits, synthetic
from curate.errors import CurateError
from curate.steps.check import check
from curate.steps.drop import drop
from curate.steps.export import export
from curate.steps.ingest import ingest
from curate.steps.restore import restore
from curate.steps.split import split
from curate.steps.train import train
from curate.workspace import Workspace, create_workspace, open_workspace


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A workspace with 40 real texts in two labels, a split, and ten accepted draws of a model of its train part."""
    (tmp_path / "real.csv").write_text(
        "text,label\n" + "".join(f"real text {n},l{n % 2}\n" for n in range(40)), encoding="utf-8"
    )
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        ingest(workspace, [tmp_path / "real.csv"], dataset="notes", text=["text"], label="label")
        split(workspace, "notes", stratify="label")
        plant(workspace)
    return tmp_path


def plant(workspace: Workspace) -> None:
    """Record a model and its draws as `train` and `generate` do."""
    catalog = workspace.catalog
    run = runs.begin(catalog, "generate", dataset="notes", command="", settings={})
    runs.end(catalog, run, "done", {})
    frozen = splits.every(catalog)[0]
    model = models.create(
        catalog,
        name="notes-lm-1",
        family="causal-lm",
        objective="next_token",
        parent_id=None,
        split=frozen,
        base_model=None,
        settings={},
        folder="m",
        depth=0,
        run_id=run,
    )
    weights = workspace.folder("models", "m") / "model.safetensors"
    weights.write_bytes(b"weights")
    models.finish(catalog, model, hashlib.sha256(b"weights").hexdigest(), run, [])
    texts = [f"drawn text {n}" for n in range(10)]
    synthetic.add(
        catalog,
        pa.table(
            {
                "dataset_id": pa.array([1] * 10, pa.int32()), "model_id": pa.array([model] * 10, pa.int32()),
                "run_id": pa.array([run] * 10, pa.int32()), "seed": pa.array(range(10), pa.int64()),
                "draw_index": pa.array(range(10), pa.int64()), "requested_label": ["l0"] * 10, "settings": ["{}"] * 10,
                "depth": pa.array([1] * 10, pa.int32()), "parents": ["[]"] * 10, "modality": ["text"] * 10,
                "content_hash": [hashlib.sha256(t.encode()).hexdigest() for t in texts], "label": ["l0"] * 10, "text": texts,
                "size_bytes": pa.array([len(t) for t in texts], pa.int64()), "status": ["accepted"] * 10,
            }
        ),
    )  # fmt: skip


def assert_clean(workspace: Workspace) -> None:
    """No drawn text among real samples, curated ones or members of any split; and `check` agrees."""
    catalog = workspace.catalog
    assert catalog.scalar("SELECT count(*) FROM real_samples WHERE text LIKE 'drawn%'") == 0
    assert catalog.scalar("SELECT count(*) FROM curated WHERE text LIKE 'drawn%'") == 0
    assert (
        catalog.scalar("SELECT count(*) FROM split_members WHERE sample_id IN (SELECT sample_id FROM synthetic_samples)") == 0
    )
    assert check(workspace).findings == ()


@pytest.mark.parametrize("format", ["parquet", "jsonl", "csv", "huggingface"])
def test_an_export_that_is_ingested_again_brings_no_synthetic_sample_in(house: Path, format: str) -> None:
    with open_workspace(house / "ws") as workspace:
        report = export(workspace, "notes/train", format=format, out=house / "out", include_synthetic=True)
        assert report.synthetic == 10
        again = ingest(workspace, [house / "out"], dataset="again", text=["text"], label="label", exclude=["*.md", "*.json"])
        assert again.reject_reasons.get("marked-synthetic") == 10
        assert again.added == report.real
        assert_clean(workspace)


def test_a_new_version_of_the_split_takes_none_in(house: Path) -> None:
    with open_workspace(house / "ws") as workspace:
        (house / "more.csv").write_text("text,label\nreal text 99,l0\n", encoding="utf-8")
        ingest(workspace, [house / "more.csv"], dataset="notes", text=["text"], label="label")
        assert split(workspace, "notes", stratify="label").version == 2
        assert_clean(workspace)


def test_verdicts_do_not_touch_them(house: Path) -> None:
    with open_workspace(house / "ws") as workspace:
        drawn = workspace.catalog.scalar("SELECT min(sample_id) FROM synthetic_samples")
        for verdict in (restore, drop):
            with pytest.raises(CurateError):
                verdict(workspace, [drawn])
        assert_clean(workspace)


@pytest.mark.parametrize("spec", ["notes/test", "notes/validation", "notes"])
def test_held_out_parts_are_exported_without_them(house: Path, spec: str) -> None:
    with open_workspace(house / "ws") as workspace:
        with pytest.raises(CurateError):
            export(workspace, spec, format="jsonl", out=house / "out", include_synthetic=True)
        whole = export(workspace, "notes/", format="jsonl", out=house / "all", include_synthetic=True)
        assert whole.synthetic > 0
        for part in ("validation", "test"):
            assert "drawn text" not in (house / "all" / f"{part}.jsonl").read_text(encoding="utf-8")
        assert_clean(workspace)


def test_nothing_learns_from_a_held_out_part(house: Path) -> None:
    with open_workspace(house / "ws") as workspace:
        for part in ("validation", "test"):
            with pytest.raises(CurateError):
                train(workspace, "causal-lm", f"notes/{part}", include_synthetic=True)
        assert_clean(workspace)
