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
from curate.testing.export_rows import export_row, info_of, picture
from curate.writers import ExportRow
from curate.writers.cards.dataset_card import CardFacts, dataset_card

pytest.importorskip("datasets")

# One process for all of them: `datasets` reads its settings when imported, takes seconds to start, and leaves threads behind.
LOAD = """
import json, sys
from datasets import ClassLabel, Image, load_dataset

def plain(loaded):
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
    return out

wanted = json.loads(sys.argv[1])
print(json.dumps({name: plain(load_dataset(**arguments, cache_dir=sys.argv[2])) for name, arguments in wanted.items()}))
"""
BY_CARD = [("huggingface", "text"), ("huggingface", "image"), ("parquet", "image"), ("imagefolder", "image"), ("jsonl", "text")]


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
    drawn = sum(row.origin == "synthetic" for row in rows)
    facts = CardFacts(
        name="birds",
        format=format_,
        info=info,
        written=written,
        real=len(rows) - drawn,
        synthetic=drawn,
        created="2026-01-31",
        version="0",
    )
    (folder / "README.md").write_text(dataset_card(facts), encoding="utf-8")


def pixel(row: ExportRow) -> list[int]:
    return [(row.sample_id * 31 + 7 * (2 * 9 + 3)) % 256] * 3


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every export of this file, written by us and loaded by `datasets`."""
    folder = tmp_path_factory.mktemp("datasets")
    wanted: dict[str, Any] = {}
    for format_, modality in BY_CARD:
        name = f"{format_} {modality}"
        write(format_, folder / name, rows_of(modality), modality)
        wanted[name] = {"path": str(folder / name)}
    wanted["by name: parquet"] = {"path": "parquet", "data_files": {"train": str(folder / "parquet image" / "train.parquet")}}
    wanted["by name: imagefolder"] = {"path": "imagefolder", "data_dir": str(folder / "imagefolder image")}
    write("huggingface", folder / "whole", [export_row(n, text=f"t{n}") for n in range(3)], "text")
    wanted["whole"] = {"path": str(folder / "whole")}
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", LOAD, json.dumps(wanted), str(folder / "cache")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("format_", "modality"), BY_CARD)
def test_a_folder_loads_by_its_card(format_: str, modality: str, loaded: dict[str, Any]) -> None:
    found = loaded[f"{format_} {modality}"]
    assert found.keys() == {"train", "validation"}
    assert all(part["classes"] == (format_ == "huggingface") for part in found.values())
    for part, data in found.items():
        wanted = [
            [r.sample_id, r.text, r.label, r.origin, r.model, r.seed, r.metadata.get("weight"), pixel(r) if r.media else None]
            for r in rows_of(modality)
            if r.part == part
        ]
        assert sorted(data["rows"]) == wanted


def test_parquet_files_load_by_name_with_images(loaded: dict[str, Any]) -> None:
    assert [row[-1] for row in loaded["by name: parquet"]["train"]["rows"]] == [pixel(row) for row in rows_of("image")[:8]]


def test_image_folders_load_by_name_with_their_metadata(loaded: dict[str, Any]) -> None:
    found, rows = loaded["by name: imagefolder"], rows_of("image")
    assert sorted(row[2] for row in found["train"]["rows"]) == sorted(str(row.label) for row in rows[:8])
    assert sorted(row[-1] for row in found["validation"]["rows"]) == sorted(pixel(row) for row in rows[8:])


def test_a_whole_dataset_without_labels_loads_as_train(loaded: dict[str, Any]) -> None:
    assert [row[1] for row in loaded["whole"]["train"]["rows"]] == ["t0", "t1", "t2"]
