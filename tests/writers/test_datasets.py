"""What is written loads with Hugging Face's `datasets`, offline, with decoded images and named classes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curate import plugins
from curate.writers import ExportRow
from curate.writers._card import CardFacts, dataset_card

from .exports import export_row, info_of, picture

pytest.importorskip("datasets")

# In a process of its own: `datasets` reads its settings when imported, and leaves threads and warnings behind.
LOAD = """
import json, sys
from datasets import ClassLabel, Image, load_dataset
arguments = json.loads(sys.argv[1])
loaded = load_dataset(**arguments, cache_dir=sys.argv[2])
out = {}
for part, data in loaded.items():
    names = data.features["label"].names if isinstance(data.features["label"], ClassLabel) else None
    is_image = isinstance(data.features.get("image"), Image)
    rows = []
    for row in data:
        label = names[row["label"]] if names and row["label"] is not None else row["label"]
        pixel = row["image"].convert("RGB").getpixel((3, 2)) if is_image and row["image"] else row.get("image")
        rows.append([row["id"], row.get("text"), label, row["origin"], row["model"], row["seed"], row.get("weight"), pixel])
    out[part] = {"rows": rows, "classes": names is not None}
print(json.dumps(out))
"""


def load(tmp_path: Path, **arguments: Any) -> dict[str, Any]:
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    command = [sys.executable, "-c", LOAD, json.dumps(arguments), str(tmp_path / "cache")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(modality: str) -> list[ExportRow]:
    """Train with a synthetic row, validation without one: `model` and `weight` are all empty there."""
    rows = []
    for n in range(1, 13):
        part = "train" if n <= 8 else "validation"
        more: dict[str, Any] = {"model": "m", "seed": n} if n == 8 else {}
        content: dict[str, Any] = {"text": f"text {n}\n"} if modality == "text" else {"media": picture(n)}
        metadata = {"weight": n / 2} if part == "train" else {}
        rows.append(export_row(n, label=["a/b", "cat"][n % 2], part=part, metadata=metadata, **content, **more))
    return rows


def write(format_: str, folder: Path, rows: list[ExportRow], modality: str) -> None:
    info = info_of(rows, modality)
    folder.mkdir()
    written = plugins.load("writers", format_)().write(iter(rows), folder, info)
    facts = CardFacts(
        name="birds",
        format=format_,
        info=info,
        written=written,
        real=len(rows) - 1,
        synthetic=1,
        created="2026-01-31",
        version="0",
    )
    (folder / "README.md").write_text(dataset_card(facts), encoding="utf-8")


def pixel(row: ExportRow) -> list[int]:
    return [(row.sample_id * 31 + 7 * (2 * 9 + 3)) % 256] * 3


@pytest.mark.parametrize(
    ("format_", "modality"),
    [("huggingface", "text"), ("huggingface", "image"), ("parquet", "image"), ("imagefolder", "image"), ("jsonl", "text")],
)
def test_the_folder_loads_by_its_card(format_: str, modality: str, tmp_path: Path) -> None:
    rows = rows_of(modality)
    write(format_, tmp_path / "out", rows, modality)
    found = load(tmp_path, path=str(tmp_path / "out"))
    assert found.keys() == {"train", "validation"}
    assert all(part["classes"] == (format_ == "huggingface") for part in found.values())
    for part, loaded in found.items():
        wanted = [
            [r.sample_id, r.text, r.label, r.origin, r.model, r.seed, r.metadata.get("weight"), pixel(r) if r.media else None]
            for r in rows
            if r.part == part
        ]
        assert sorted(loaded["rows"]) == wanted


def test_parquet_files_load_by_name_with_images(tmp_path: Path) -> None:
    rows = rows_of("image")
    write("parquet", tmp_path / "out", rows, "image")
    found = load(tmp_path, path="parquet", data_files={"train": str(tmp_path / "out" / "train.parquet")})
    assert [row[-1] for row in found["train"]["rows"]] == [pixel(row) for row in rows[:8]]


def test_image_folders_load_by_name_with_their_metadata(tmp_path: Path) -> None:
    rows = rows_of("image")
    write("imagefolder", tmp_path / "out", rows, "image")
    found = load(tmp_path, path="imagefolder", data_dir=str(tmp_path / "out"))
    assert sorted(row[2] for row in found["train"]["rows"]) == sorted(str(row.label) for row in rows[:8])
    assert sorted(row[-1] for row in found["validation"]["rows"]) == sorted(pixel(row) for row in rows[8:])


def test_a_whole_dataset_without_labels_loads_as_train(tmp_path: Path) -> None:
    rows = [export_row(n, text=f"t{n}") for n in range(3)]
    write("huggingface", tmp_path / "out", rows, "text")
    found = load(tmp_path, path=str(tmp_path / "out"))
    assert [row[1] for row in found["train"]["rows"]] == ["t0", "t1", "t2"]
