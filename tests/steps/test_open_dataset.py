"""A dataset is read in place: what Arrow and torch are given is what an export writes."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import curate
from curate.errors import InputError, WorkspaceDamaged
from curate.testing.contents import noise_picture


@pytest.fixture
def workspace(tmp_path):
    rows = [{"text": f"line {n} about tea", "label": "ab"[n % 2], "n": n} for n in range(40)] + [{"text": "no label"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for kind in ("cats", "dogs"):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for n in range(3):
            (tmp_path / "pictures" / kind / f"{n}.png").write_bytes(noise_picture(n + 10 * (kind == "dogs"), (24 + n, 20)))
    curate.create_workspace(tmp_path / "ws")
    with curate.open_workspace(tmp_path / "ws") as opened:
        curate.ingest(opened, [tmp_path / "a.jsonl"], dataset="lines", label="label")
        curate.ingest(opened, [tmp_path / "pictures"], dataset="pictures", label_from="folder")
        yield opened


def test_arrow_streams_the_kept_samples_in_order(workspace):
    curate.drop(workspace, [3])
    opened = curate.open_dataset(workspace, "lines")
    batches = list(opened.to_arrow(batch_rows=16))
    assert [batch.num_rows for batch in batches] == [16, 16, 8]
    rows = pa.Table.from_batches(batches).to_pylist()
    assert len(opened) == len(rows) == 40 and opened.labels == ("a", "b")
    assert [row["sample_id"] for row in rows] == [n for n in range(1, 42) if n != 3]
    assert rows[0]["text"] == "line 0 about tea" and json.loads(rows[0]["metadata"]) == {"n": 0} and rows[0]["media"] is None
    assert rows[-1]["label"] is None


def test_a_part_of_a_split_is_its_frozen_members(workspace):
    curate.split(workspace, "lines", ratios={"train": 0.8, "test": 0.2}, seed=1)
    train, test = (curate.open_dataset(workspace, f"lines/{part}") for part in ("train", "test"))
    ids = [set(part.to_arrow().read_all()["sample_id"].to_pylist()) for part in (train, test)]
    assert len(train) + len(test) == 41 and not ids[0] & ids[1] and train.name == "lines@default:1/train"
    assert set(train.to_arrow().read_all()["part"].to_pylist()) == {"train"}


def test_arrow_gives_the_pictures_as_they_lie(workspace, tmp_path):
    media = curate.open_dataset(workspace, "pictures").to_arrow().read_all()["media"].to_pylist()
    files = [path.read_bytes() for path in (tmp_path / "pictures").rglob("*.png")]
    assert sorted(media) == sorted(files)


def test_torch_takes_samples_by_number_also_when_the_workspace_is_closed(workspace):
    pictures = curate.open_dataset(workspace, "pictures").to_torch()
    lines = curate.open_dataset(workspace, "lines").to_torch(transform=str.upper)
    media = curate.open_dataset(workspace, "pictures").to_arrow().read_all()["media"].to_pylist()
    workspace.close()
    assert len(pictures) == 6 and len(lines) == 41
    for number, item in enumerate(pictures):
        assert item["image"].dtype == np.uint8 and item["label"] == pictures.labels[item["label_index"]]
        assert (item["image"] == np.asarray(Image.open(io.BytesIO(media[number])).convert("RGB"))).all()
    assert lines[0] == {"sample_id": 1, "label": "a", "label_index": 0, "text": "LINE 0 ABOUT TEA"}
    assert lines[-1]["label_index"] == -1 and lines[-1]["label"] == ""
    with pytest.raises(IndexError):
        lines[41]


def test_torchs_own_loader_takes_it_in_its_workers(workspace):
    from torch.utils.data import DataLoader

    lines = curate.open_dataset(workspace, "lines").to_torch()
    batches = list(DataLoader(lines, batch_size=10))
    assert [len(batch["text"]) for batch in batches] == [10, 10, 10, 10, 1]
    assert sorted(n for batch in batches for n in batch["sample_id"].tolist()) == list(range(1, 42))


def test_what_is_not_there_is_said(workspace):
    with pytest.raises(InputError):
        curate.open_dataset(workspace, "nothing")
    with pytest.raises(InputError):
        curate.open_dataset(workspace, "lines/train")
    blob = next((workspace.root / "blobs" / "real").rglob("*.png"))
    blob.write_bytes(b"else")
    with pytest.raises(WorkspaceDamaged, match="not what its hash says"):
        curate.open_dataset(workspace, "pictures").to_arrow().read_all()
