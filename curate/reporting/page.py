"""The report's page: its template filled with what was gathered."""

from __future__ import annotations

import base64
import hashlib
import platform
from collections import Counter
from pathlib import Path

import jinja2

from curate import __version__
from curate.catalog import reporting, vectors
from curate.modalities import load_modality
from curate.reporting import facts as facts
from curate.reporting.charts import gauge
from curate.reporting.facts import DatasetFacts
from curate.reporting.formats import figure, named, number, settings, share, shown, took, when
from curate.reporting.media import SIDE, Thumbnails
from curate.workspace import Workspace

RUNS = 200


IMAGE_BYTES = 3_000_000  # of all thumbnails together, so that the page stays below 5 MB


_TEMPLATES = Path(__file__).parent / "templates"


def page_notes(found: list[DatasetFacts], thumbnails: Thumbnails) -> tuple[str, ...]:
    """What the page leaves out, a sentence each."""
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


def render_page(workspace: Workspace, found: list[DatasetFacts], notes: tuple[str, ...], dataset: str | None, seed: int) -> str:
    """The page as HTML."""
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


def _plural(modality: str) -> str:
    return load_modality(modality).plural


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        n=number,
        figure=figure,
        share=share,
        took=took,
        when=when,
        visible=shown,
        named=named,
        settings=settings,
        plural=_plural,
    )
    environment.globals["gauge"] = gauge
    return environment
