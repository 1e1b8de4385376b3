"""`evaluate`: measures what a model's accepted samples are worth, against held-out real samples and beside what those reach."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import plugins
from curate.catalog import metrics as catalog_metrics
from curate.catalog import models, splits
from curate.catalog.metrics import MetricRow
from curate.catalog.models import ModelRow
from curate.embedding.specs import canonical_spec, default_spec
from curate.errors import BadRecord, CurateError, InputError, SettingError, WorkspaceDamaged
from curate.generators import load_model
from curate.metrics import Measure, Metric, Samples, Trial
from curate.modalities import load_modality
from curate.records import takes
from curate.reports import Report
from curate.synthesis.features import Material, embedder_features, image_material, text_material
from curate.synthesis.likelihood import bits_per_byte_of
from curate.workspace import Workspace

LIMIT = 5000
LEAST_ROWS = 2


@dataclass(frozen=True, slots=True, repr=False)
class EvaluateReport(Report):
    """What was measured; every measure is a row of the table `metrics`.

    Attributes:
        evaluated_on: the split whose train and test parts are the real side.
        samples: the model's accepted samples; at most `limit` of them were measured, and so of each real part.
        sizes: rows of train, test and synthetic that were measured.
        spaces: what each kind of features is.
        measures: overall figures first, then those of single labels.
    """

    run_id: int
    model: str
    evaluated_on: str
    modality: str
    samples: int
    sizes: dict[str, int]
    spaces: dict[str, str]
    measures: tuple[Measure, ...]
    seed: int
    seconds: float
    notes: tuple[str, ...] = ()


def evaluate(
    workspace: Workspace, model: str, *, embedder: str | None = None, seed: int = 0, limit: int = LIMIT
) -> EvaluateReport:
    """Measure a model's accepted samples against the real test part of the split that it learned from.

    The figures take the place of those of the model's last evaluation; the same samples and settings give the same ones.
    The catalog is free for others while they are computed.

    Args:
        embedder: measure in the vectors of this embedder too. One that the gates used flatters what they let pass.
        seed: of subsets, orders and small classifiers.
        limit: rows of each side at most; more are sampled.

    Raises:
        InputError: there is no such model, it has no accepted samples, or its split has no test part.
        SettingError: the limit is too small, or the embedder does not fit.
    """
    started = time.monotonic()
    if limit < LEAST_ROWS:
        raise SettingError(f"limit must be at least {LEAST_ROWS}, got {limit}", hint=f"--limit {LIMIT}")
    if seed < 0:
        raise SettingError(f"seed must not be negative, got {seed}", hint="--seed 0")
    row = models.find(workspace.catalog, model)
    split = next(s for s in splits.every(workspace.catalog) if s.split_id == row.split_id)
    whole = _tables(workspace, row, split)
    modality = whole["synthetic"]["modality"][0].as_py()
    tables, notes = _within_limit(_with_drawn_labels(whole), limit, seed)
    notes = [*_narrowed(whole, split.reference), *notes]
    settings = {"model": model, "embedder": embedder, "seed": seed, "limit": limit, "accepted": _digest(whole["synthetic"])}
    with workspace.run("evaluate", dataset=row.dataset, settings=settings) as run:
        named = None
        if embedder is None and load_modality(modality).features == "vectors":
            embedder = default_spec(workspace, modality)
        if embedder is not None:
            named = embedder_features(workspace, row, tables, embedder, modality)
            notes += _same_as_gates(workspace, embedder, modality)
        with workspace.released():
            material = _material(workspace, tables, modality, seed)
            if named is not None:
                material = _with_space(material, *named)
            own, missing = _own_bits_per_byte(workspace, row, modality)
            trial = Trial(
                material.sides["train"], material.sides["test"], material.sides["synthetic"], spaces=material.spaces, seed=seed,
                threads=workspace.threads, bits_per_byte=own,
            )  # fmt: skip
            measures, found = _measure(workspace, trial, modality)
        with workspace.catalog.transaction():
            catalog_metrics.replace(workspace.catalog, row.model_id, run.run_id, [_row(m) for m in measures])
            run.commit_counts({"measures": len(measures), **{side: len(s) for side, s in material.sides.items()}})
    return EvaluateReport(
        run_id=run.run_id,
        model=model,
        evaluated_on=split.reference,
        modality=modality,
        samples=whole["synthetic"].num_rows,
        sizes={side: len(samples) for side, samples in material.sides.items()},
        spaces={space.name: space.description for space in material.spaces},
        measures=tuple(measures),
        seed=seed,
        seconds=round(time.monotonic() - started, 2),
        notes=(*notes, *material.notes, *missing, *found),
    )


def _tables(workspace: Workspace, row: ModelRow, split: splits.Split) -> dict[str, pa.Table]:
    """The three sides, of the modality of the model's samples."""
    catalog = workspace.catalog
    drawn = catalog_metrics.accepted(catalog, row.model_id)
    if not drawn.num_rows:
        raise InputError(f"{row.name} has no accepted sample yet", hint=f"curate generate {row.name} --count 100")
    real = {
        part: (whole := models.members(catalog, split, part)).filter(pc.equal(whole["modality"], drawn["modality"][0]))
        for part in ("train", "test")
    }
    for part, table in real.items():
        if table.num_rows < LEAST_ROWS:
            raise InputError(
                f"{split.reference} has {table.num_rows} samples in {part!r}, too few to measure against",
                hint=f"curate split {row.dataset} --name evaluated, then train on that split",
            )
    return {**real, "synthetic": drawn}


def _with_drawn_labels(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Only real samples of labels that were drawn, where all drawn samples have labels: others would count as missed."""
    drawn = tables["synthetic"]["label"]
    if drawn.null_count:
        return dict(tables)
    kept = {side: t.filter(pc.is_in(t["label"], pc.unique(drawn))) for side, t in tables.items()}
    for side, table in kept.items():
        if table.num_rows < LEAST_ROWS:
            raise InputError(
                f"the {side} side has {table.num_rows} samples of the labels that were drawn, too few to measure against",
                hint="draw other labels, or split with a larger test part",
            )
    return kept


def _narrowed(tables: Mapping[str, pa.Table], reference: str) -> list[str]:
    drawn = set(tables["synthetic"]["label"].to_pylist())
    if None in drawn:
        return []
    return [
        f"{sum(absent):,} {part} samples of {reference} have a label that was never drawn, or none, and are left out"
        for part in ("train", "test")
        if any(absent := [label not in drawn for label in tables[part]["label"].to_pylist()])
    ]


def _within_limit(tables: Mapping[str, pa.Table], limit: int, seed: int) -> tuple[dict[str, pa.Table], list[str]]:
    kept, notes = {}, []
    for number, (side, table) in enumerate(tables.items()):
        kept[side] = table
        if table.num_rows > limit:
            rows = np.random.default_rng([seed, number]).choice(table.num_rows, limit, replace=False)
            kept[side] = table.take(pa.array(np.sort(rows)))
            notes.append(f"{limit:,} of {table.num_rows:,} {side} samples were measured, chosen at random; --limit takes more")
    return kept, notes


def _material(workspace: Workspace, tables: Mapping[str, pa.Table], modality: str, seed: int) -> Material:
    seen = load_modality(modality).features
    if seen == "words":
        return text_material(tables, seed=seed)
    if seen == "vectors":
        sides = {side: Samples(table["label"].to_pylist(), {}) for side, table in tables.items()}
        return Material(sides, (), (f"{modality} samples are measured by the vectors of their embedder alone",))
    try:
        return image_material(workspace, tables, seed=seed)
    except (OSError, BadRecord) as error:
        detail = error.detail if isinstance(error, BadRecord) else error
        raise WorkspaceDamaged(f"a stored image cannot be read: {detail}", hint="curate check") from error


def _with_space(material: Material, space, features) -> Material:  # type: ignore[no-untyped-def]
    sides = {
        side: replace(samples, features={**samples.features, space.name: features[side]})
        for side, samples in material.sides.items()
    }
    return Material(cast(Mapping[str, Samples], sides), (*material.spaces, space), material.notes)


def _own_bits_per_byte(
    workspace: Workspace, row: ModelRow, modality: str
) -> tuple[Callable[[Sequence[str], Sequence[str | None]], float] | None, list[str]]:
    """The evaluated model's own bits per byte, or a note that says why it cannot be asked."""
    if modality != "text":
        return None, []
    try:
        trained = load_model(workspace.root / "models" / row.folder)
    except CurateError as error:
        return None, [f"bits per byte under {row.name} itself were not measured: {error}"]
    return bits_per_byte_of(trained), []


def _measure(workspace: Workspace, trial: Trial, modality: str) -> tuple[list[Measure], list[str]]:
    """Every metric of the modality, overall figures first."""
    from threadpoolctl import threadpool_limits

    measures: list[Measure] = []
    notes: list[str] = []
    chosen: list[type[Metric]] = [kind for _, kind in plugins.usable("metrics") if takes(kind.modalities, modality)]
    workspace.progress.start("measuring", total=len(chosen), unit="metrics")
    with threadpool_limits(workspace.threads):
        for kind in chosen:
            found = kind().measure(trial)
            measures += found.measures
            notes += found.notes
            workspace.progress.advance(1)
    workspace.progress.finish()
    return sorted(measures, key=lambda m: m.label is not None), notes


def _same_as_gates(workspace: Workspace, embedder: str, modality: str) -> list[str]:
    if canonical_spec(embedder) != default_spec(workspace, modality):
        return []
    return [f"the gates filtered draws by {embedder}, so figures in its vectors flatter what they let pass"]


def _row(measure: Measure) -> MetricRow:
    return MetricRow(
        measure.name, measure.label, measure.value, measure.spread, measure.reference, measure.sizes, measure.definition,
        measure.source,
    )  # fmt: skip


def _digest(table: pa.Table) -> str:
    """What the accepted set is told from another by."""
    return hashlib.sha256("".join(table["content_hash"].to_pylist()).encode()).hexdigest()
