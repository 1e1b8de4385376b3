"""A reader for each export format that finds the rows again, and shares nothing with the writer."""

from __future__ import annotations

import csv
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from curate.writers import ExportInfo


def read_back(format_: str, folder: Path, info: ExportInfo) -> dict[int, dict[str, Any]]:
    """Read an export with code that shares nothing with the writer; id → columns, `image` as bytes."""
    rows = list(_READERS[format_](folder))
    for row in rows:
        if format_ == "huggingface" and isinstance(row["label"], int):
            row["label"] = info.labels[row["label"]]
    assert len({int(row["id"]) for row in rows}) == len(rows)
    return {int(row["id"]): row for row in rows}


def _parquet(folder: Path) -> Iterable[dict[str, Any]]:
    for path in sorted(folder.rglob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            if "image" in row:
                row["image"] = row["image"] and row["image"]["bytes"]
            yield row


def _jsonl(folder: Path) -> Iterable[dict[str, Any]]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            row = json.loads(line)
            if row.get("image") is not None:
                row["image"] = (folder / row["image"]).read_bytes()
            yield row


def _csv(folder: Path) -> Iterable[dict[str, Any]]:
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, strict=True):
                found: dict[str, Any] = dict(row)
                if row.get("image"):
                    found["image"] = (folder / row["image"]).read_bytes()
                yield found


def _imagefolder(folder: Path) -> Iterable[dict[str, Any]]:
    for path in sorted(folder.glob("*/metadata.*")):
        lines = path.suffix == ".jsonl"
        rows = map(json.loads, path.read_text(encoding="utf-8").splitlines()) if lines else pq.read_table(path).to_pylist()
        for row in rows:
            yield row | {"image": (path.parent / row["file_name"]).read_bytes()}


def _webdataset(folder: Path) -> Iterable[dict[str, Any]]:
    for path in sorted(folder.glob("*.tar")):
        samples: dict[str, dict[str, bytes]] = {}
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                assert suffix not in samples.setdefault(key, {})
                samples[key][suffix] = file.read()
        for members in samples.values():
            row = json.loads(members.pop("json"))
            members.pop("cls", None)
            if "txt" in members:
                row["text"] = members.pop("txt").decode()
            if members:
                (row["image"],) = members.values()
            yield row


_READERS = {
    "parquet": _parquet,
    "huggingface": _parquet,
    "jsonl": _jsonl,
    "csv": _csv,
    "imagefolder": _imagefolder,
    "webdataset": _webdataset,
}
