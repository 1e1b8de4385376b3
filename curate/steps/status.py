"""`status`: what is in the workspace, at a glance."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.catalog import overview, vectors
from curate.reports import Report
from curate.workspace import Workspace

RUNS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class DatasetStatus:
    """One dataset; `samples = kept + dropped`.

    Attributes:
        modalities: how many samples of each.
        bytes: length of the content of its samples, equal ones counted each.
        dropped_by: dropped samples by the dedupe method, or by who else dropped them: `user`, `protect`, `filter:length`.
        rejects: records that could not be taken, in the files as they were last read.
        synthetic: accepted and refused samples that were drawn for it.
        vectors: by embedder, how many real samples have one.
    """

    name: str
    licence: str | None
    samples: int
    modalities: dict[str, int]
    labels: int
    bytes: int
    kept: int
    dropped: int
    dropped_by: dict[str, int]
    rejects: int
    synthetic: dict[str, int]
    vectors: dict[str, int]


@dataclass(frozen=True, slots=True, repr=False)
class StatusReport(Report):
    """What the catalog holds, and what it takes on disk.

    Attributes:
        runs: the newest runs, newest first.
        disk: bytes by what they hold: catalog, blobs, indexes, models.
    """

    workspace: str
    datasets: tuple[DatasetStatus, ...]
    splits: tuple[dict[str, Any], ...]
    models: tuple[dict[str, Any], ...]
    runs: tuple[dict[str, Any], ...]
    runs_in_all: int
    disk: dict[str, int]


def status(workspace: Workspace) -> StatusReport:
    """Count what is in the workspace."""
    catalog = workspace.catalog
    dropped_by = overview.dropped_by_reason(catalog)
    synthetic = overview.synthetic_counts(catalog)
    covered: dict[str, dict[str, int]] = {}
    for slug, dataset, origin, count in vectors.coverage(catalog):
        if origin == "real":
            covered.setdefault(dataset, {})[slug] = count
    runs = overview.latest_runs(catalog, RUNS_SHOWN)
    in_all = runs[0]["runs_in_all"] if runs else 0
    return StatusReport(
        workspace=str(workspace.root),
        datasets=tuple(
            DatasetStatus(
                **counts,
                dropped_by=dropped_by.get(counts["name"], {}),
                synthetic=synthetic.get(counts["name"], {}),
                vectors=covered.get(counts["name"], {}),
            )
            for counts in overview.dataset_counts(catalog)
        ),
        splits=tuple(overview.splits(catalog)),
        models=tuple(overview.models(catalog)),
        runs=tuple({name: value for name, value in run.items() if name != "runs_in_all"} for run in runs),
        runs_in_all=in_all,
        disk=_disk(workspace.root),
    )


def _disk(root: Path) -> dict[str, int]:
    """Bytes of the files below each part of the workspace."""
    catalog = sum(file.stat().st_size for file in root.glob("catalog.duckdb*") if file.is_file())
    return {"catalog": catalog, **{name: _size(root / name) for name in ("blobs", "indexes", "models")}}


def _size(folder: Path) -> int:
    total = 0
    for path, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(f"{path}/{file}").st_size
            except FileNotFoundError:  # a temporary file of another process
                continue
    return total
