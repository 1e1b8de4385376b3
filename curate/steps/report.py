"""`report`: what is in the workspace and how it came to be, as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import platform
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2

from curate import __version__
from curate.catalog import datasets, overview, reporting, vectors
from curate.errors import InputError
from curate.reporting import facts as facts
from curate.reporting.charts import gauge
from curate.reporting.facts import DatasetFacts, gather
from curate.reporting.media import SIDE, Thumbnails, excerpt, visible
from curate.workspace import Workspace, write_atomically

RUNS = 200
IMAGE_BYTES = 3_000_000  # of all thumbnails together, so that the page stays below 5 MB
_TEMPLATES = Path(__file__).parent / "_report"


@dataclass(frozen=True, slots=True)
class ReportReport:
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
    notes = _notes(found, thumbnails)
    page = _render(workspace, found, notes, dataset, seed).encode("utf-8", "replace")
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


def _notes(found: list[DatasetFacts], thumbnails: Thumbnails) -> tuple[str, ...]:
    notes = []
    if thumbnails.over_budget:
        notes.append(
            f"{thumbnails.over_budget:,} thumbnails are left out: together they may take {IMAGE_BYTES / 1e6:.0f} MB of the page"
        )
    if thumbnails.unreadable:
        notes.append(f"{thumbnails.unreadable:,} images could not be read from the workspace; curate check names them")
    for d in found:
        name = d.home.name
        if d.map and (left := sum(layer.total - layer.drawn for layer in d.map.layers)):
            notes.append(f"{name}: the map shows {len(d.map.points):,} samples, chosen by the seed, and leaves out {left:,}")
        if d.labels and d.labels[-1].is_others:
            notes.append(f"{name}: {d.labels[-1].labels:,} labels beyond the {facts.LABELS} largest stand in one row")
        if d.groups_in_all > len(d.groups):
            notes.append(f"{name}: {len(d.groups)} of {d.groups_in_all:,} duplicate groups are shown, the largest")
        if (drawing := sum(bool(m.drawn) for m in d.models)) > facts.MODELS:
            notes.append(f"{name}: the flow shows {facts.MODELS} of {drawing} models that drew")
    return tuple(notes)


def _render(workspace: Workspace, found: list[DatasetFacts], notes: tuple[str, ...], dataset: str | None, seed: int) -> str:
    catalog = workspace.catalog
    runs, runs_in_all = reporting.runs(catalog, dataset, limit=RUNS)
    environment = _environment()
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        name=workspace.root.name,
        dataset=dataset,
        datasets=found,
        totals=_totals(found),
        notes=notes,
        runs=runs,
        runs_in_all=runs_in_all,
        embedders=vectors.embedders(catalog),
        migrations=reporting.migrations(catalog),
        versions={"curate": __version__, "Python": platform.python_version()},
        seed=seed,
        caps=facts,
        side=SIDE,
        style=(_TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _totals(found: list[DatasetFacts]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for d in found:
        total.update({k: d.counts[k] for k in ("samples", "kept", "dropped", "rejects")})
        total.update(read=d.counts["samples"] + d.counts["rejects"], models=len(d.models))
        total.update(accepted=d.synthetic.get("accepted", 0), refused=d.synthetic.get("refused", 0))
    return dict(total)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        n=_number, figure=_figure, share=_share, took=_took, when=_when, visible=_text, named=_named, settings=_settings
    )
    environment.globals["gauge"] = gauge
    return environment


def _number(value: int) -> str:
    return f"{value:,}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}"


def _share(value: float, whole: float) -> str:
    return "–" if not whole else f"{100 * value / whole:.1f} %"


def _took(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _when(moment: datetime | None) -> str:
    return "–" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _text(value: object) -> str:
    return visible(str(value))


def _named(value: object) -> str:
    """A label or a name, cut where it is long."""
    return excerpt(str(value), 120)


def _settings(value: dict[str, Any]) -> str:
    """A JSON object in words; numbers have separators, but seeds are names."""
    return visible(", ".join(f"{name} {_plain(inner, 'seed' in name)}" for name, inner in value.items()))


def _plain(value: Any, is_name: bool) -> str:
    if isinstance(value, dict):
        return f"({_settings(value)})"
    if value is None:
        return "none"
    if isinstance(value, int) and not isinstance(value, bool) and not is_name:
        return f"{value:,}"
    return str(value)
