"""`report`: what is in the workspace and how it came to be, as one HTML page that needs nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from curate.catalog import datasets, overview
from curate.errors import InputError
from curate.reporting import facts as facts
from curate.reporting.facts import gather
from curate.reporting.media import Thumbnails
from curate.reporting.page import IMAGE_BYTES, page_notes, render_page
from curate.reports import Report
from curate.workspace import Workspace, write_atomically


@dataclass(frozen=True, slots=True, repr=False)
class ReportReport(Report):
    """The page that was written.

    Attributes:
        images: thumbnails on it.
        points: samples on its maps.
        notes: what it leaves out.
    """

    path: str
    bytes: int
    datasets: int
    models: int
    images: int
    points: int
    seconds: float
    notes: tuple[str, ...] = ()


def report(workspace: Workspace, *, out: str | Path = "report.html", dataset: str | None = None, seed: int = 0) -> ReportReport:
    """Write one self-contained HTML page: no network, light and dark, readable without JavaScript.

    The catalog is only read. The same catalog and seed give the same bytes.

    Args:
        out: the file, which is replaced.
        dataset: only this one; all by default.
        seed: chooses the samples that are shown where there are too many.

    Raises:
        InputError: there is no such dataset, or `out` cannot be a file.
    """
    started = time.monotonic()
    path = Path(out).absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(
            f"{path} is a folder" if path.is_dir() else f"there is no folder {path.parent}", hint="curate report -o report.html"
        )
    catalog = workspace.catalog
    known = [row["name"] for row in overview.dataset_counts(catalog)]
    names = [datasets.find(catalog, dataset).name] if dataset is not None else known
    thumbnails = Thumbnails(IMAGE_BYTES)
    workspace.progress.start("reporting", total=len(names))
    found = gather(workspace, names, thumbnails, seed=seed)
    workspace.progress.finish()
    notes = page_notes(found, thumbnails)
    page = render_page(workspace, found, notes, dataset, seed).encode("utf-8", "replace")
    write_atomically(path, page)
    return ReportReport(
        path=str(path),
        bytes=len(page),
        datasets=len(found),
        models=sum(len(d.models) for d in found),
        images=thumbnails.shown,
        points=sum(len(d.map.points) for d in found if d.map),
        seconds=round(time.monotonic() - started, 3),
        notes=notes,
    )
