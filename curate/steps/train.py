"""`train`: a generator learns from the train part of a frozen split."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate import plugins
from curate.catalog import models, splits
from curate.catalog.models import ModelRow
from curate.catalog.splits import Split
from curate.errors import InputError, SettingError, WorkError
from curate.generators import (
    Estimate,
    Examples,
    FitOptions,
    FitReport,
    Generator,
    configure,
    launched,
    leads,
    meet,
    share_of_threads,
    weights_file,
)
from curate.workspace import Workspace, write_atomically
from curate.workspace.sealed_files import seal_model


@dataclass(frozen=True, slots=True)
class TrainReport:
    """A trained model.

    Attributes:
        model: its name; what `curate generate` takes.
        already: the same recipe had been trained on the same samples before, and nothing was done.
        samples: how many it learned from; `synthetic` of them are synthetic.
        estimate_s: what a few timed steps foretold.
        units_per_second: images or tokens a second.
        validation_loss: the best one, on the real validation part.
        metrics: of the plug-in, such as bits per byte on the validation part.
    """

    run_id: int
    model: str
    family: str
    trained_on: str
    preset: str
    already: bool
    samples: int
    synthetic: int
    labels: int
    depth: int
    parameters: int
    steps: int
    estimate_s: float | None
    seconds: float
    units_per_second: float
    unit: str
    validation_loss: float | None
    stop_reason: str
    metrics: dict[str, float]
    checkpoint_hash: str
    folder: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Material:
    """What a training learns from and is watched on."""

    train: Examples
    validation: Examples
    digest: str
    synthetic: int
    depth: int
    notes: tuple[str, ...]


def train(
    workspace: Workspace,
    family: str,
    spec: str,
    *,
    preset: str | None = None,
    base: str | None = None,
    lora: bool = False,
    settings: Mapping[str, Any] | None = None,
    name: str | None = None,
    include_synthetic: bool = False,
    max_share: float = 0.5,
    max_depth: int = 1,
    device: str = "auto",
) -> TrainReport:
    """Train a generator on curated real samples of a split's train part; the validation part only watches.

    The workspace is free for others while the generator learns. A killed training goes on when the same command is
    given again, and the same command after a finished training returns that model.

    Under `accelerate launch` every process calls this; those beside the first open the workspace `detached`, read the catalog
    while the first one has let go of it, and write nothing.

    Args:
        family: a generator plug-in.
        spec: "DATASET/train" or "DATASET@SPLIT:2/train".
        preset: of the plug-in; its first by default.
        base: a pretrained model to fine-tune, for the plug-ins that can; a local path or a hub name.
        lora: tune low-rank adapters only (Hu et al. 2021, arXiv:2106.09685).
        settings: that differ from the preset's.
        name: of the model; "DATASET-FAMILY-1" and so on by default.
        include_synthetic: learn also from accepted samples of models of this split.
        max_share: share of each label that may be synthetic, at least 0 and under 1.
        max_depth: greatest generation depth of a synthetic sample that is learned from.

    Raises:
        SettingError: a setting is not allowed, or the spec names another part than train.
        InputError: the split or its samples are missing.
        WorkError: the loss is not finite any more.
    """
    started = time.monotonic()
    asked = _Asked(
        family,
        spec,
        preset,
        {**(settings or {}), **({"base": base} if base else {}), **({"lora": True} if lora else {})},
        max_share if include_synthetic else None,
        max_depth,
    )
    options = FitOptions(device=device, threads=_threads(workspace))
    if not leads():
        return _follow(workspace, asked, options, started)
    plan = _plan(workspace, asked)
    with workspace.run("train", dataset=plan.split.dataset, settings=plan.recorded) as run:
        model = _model_row(workspace, plan, base, name, run.run_id)
        with workspace.released():
            meet(device)  # the others read the catalog now
            meet(device)
            learned = _learn(workspace, plan, model, options)
        if model.checkpoint_hash is None:
            with workspace.catalog.transaction():
                models.finish(workspace.catalog, model.model_id, learned.checkpoint_hash, run.run_id, _curve(learned.fitted))
                seal_model(workspace.root, workspace.catalog, model.model_id, model.folder, run.run_id)
                run.commit_counts({"samples": len(plan.material.train), "steps": learned.fitted.steps, "model": model.name})
    return _report(run.run_id, plan, model, learned, started)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the caller wants to be trained."""

    family: str
    spec: str
    preset: str | None
    changes: Mapping[str, Any]
    max_share: float | None
    max_depth: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """A training before it begins: the generator, its material, and what identifies the two."""

    family: str
    preset: str
    generator: Generator
    split: Split
    material: _Material
    recorded: dict[str, Any]
    identity: str


@dataclass(frozen=True, slots=True)
class _Learned:
    fitted: FitReport
    estimate: Estimate | None
    checkpoint_hash: str
    folder: Path


def _plan(workspace: Workspace, asked: _Asked) -> _Plan:
    what = splits.resolve(workspace.catalog, asked.spec)
    if what.split is None or what.part != "train":
        raise SettingError(
            f"a generator learns from a train part, and {asked.spec!r} is none", hint=f"{what.dataset.name}/train"
        )
    kind = plugins.load("generators", asked.family)
    chosen = asked.preset or next(iter(kind.presets))
    if chosen not in kind.presets:
        raise SettingError(f"{asked.family} has no preset {chosen!r}", hint="one of: " + ", ".join(kind.presets))
    generator = kind(configure(kind.presets[chosen], asked.changes))
    material = _material(workspace, what.split, kind.modality, asked.max_share, asked.max_depth)
    identity = _digest([asked.family, asdict(generator.settings), what.split.members_hash, material.digest])
    recorded = {
        "family": asked.family,
        "spec": asked.spec,
        "preset": chosen,
        "settings": asdict(generator.settings),
        "synthetic": material.synthetic,
    }
    return _Plan(asked.family, chosen, generator, what.split, material, recorded, identity)


def _follow(workspace: Workspace, asked: _Asked, options: FitOptions, started: float) -> TrainReport:
    """Take part in the training that the first process of a launch has recorded."""
    meet(options.device)
    with workspace.reading():
        plan = _plan(workspace, asked)
        model = models.with_identity(workspace.catalog, plan.identity)
    if model is None:
        raise WorkError("the processes of this launch do not train the same: the first one recorded another training")
    meet(options.device)
    return _report(model.run_id, plan, model, _learn(workspace, plan, model, options), started)


def _learn(workspace: Workspace, plan: _Plan, model: ModelRow, options: FitOptions) -> _Learned:
    """Estimate and fit, without the catalog; every process of a launch comes here."""
    folder = workspace.folder("models", model.folder)
    estimate = None
    begun_with = folder / "threads"
    if model.checkpoint_hash is None:
        estimate = plan.generator.estimate(plan.material.train, options=options)
        workspace.progress.note(f"about {_minutes(estimate.seconds)}: {estimate.how}")
        if leads() and not begun_with.exists():
            # Another number of threads would round otherwise: a killed training is given again what it began with.
            write_atomically(begun_with, str(estimate.threads).encode())
        options = replace(options, threads=int(begun_with.read_text()) if leads() else estimate.threads)
    train, validation = plan.material.train, plan.material.validation
    fitted = plan.generator.fit(train, validation, folder, options=options, progress=workspace.progress)
    if leads():
        begun_with.unlink(missing_ok=True)
    return _Learned(fitted, estimate, hashlib.sha256(weights_file(folder).read_bytes()).hexdigest(), folder)


def _threads(workspace: Workspace) -> int:
    """CPU threads of each process; 0 lets the generator choose, where nobody has limited them."""
    if launched() == 1:
        return workspace.settings.limits.threads
    return share_of_threads(workspace.threads)


def _report(run_id: int, plan: _Plan, model: ModelRow, learned: _Learned, started: float) -> TrainReport:
    already, fitted, material = model.checkpoint_hash is not None, learned.fitted, plan.material
    return TrainReport(
        run_id=run_id,
        model=model.name,
        family=plan.family,
        trained_on=f"{plan.split.reference}/train",
        preset=plan.preset,
        already=already,
        samples=len(material.train),
        synthetic=material.synthetic,
        labels=len(material.train.classes),
        depth=material.depth,
        parameters=fitted.parameters,
        steps=fitted.steps,
        estimate_s=round(learned.estimate.seconds, 1) if learned.estimate else None,
        seconds=round(fitted.seconds if already else time.monotonic() - started, 2),
        units_per_second=round(fitted.units_per_second, 1),
        unit=fitted.unit,
        validation_loss=fitted.best_validation_loss,
        stop_reason=fitted.stop_reason,
        metrics=dict(fitted.metrics),
        checkpoint_hash=learned.checkpoint_hash,
        folder=str(learned.folder),
        notes=(*material.notes, *fitted.notes),
    )


def _model_row(workspace: Workspace, plan: _Plan, base: str | None, name: str | None, run_id: int) -> ModelRow:
    """The model of this very recipe and data, begun or finished before, or a new one."""
    catalog = workspace.catalog
    with catalog.transaction():
        known = models.with_identity(catalog, plan.identity)
        if known is not None and name not in (None, known.name):
            raise SettingError(
                f"this very training is the model {known.name!r}",
                hint=f"leave --name out, or change a setting, such as --set seed={run_id}",
            )
        if known is not None:
            return known
        if name is not None and any(m.name == name for m in models.every(catalog)):
            raise SettingError(f"a model is called {name!r} already, and it was trained otherwise", hint="another --name")
        chosen = name or models.fresh_name(catalog, f"{plan.split.dataset}-{plan.family.rpartition('-')[2]}")
        model_id = models.create(
            catalog, name=chosen, family=plan.family, split=plan.split, base_model=base,
            settings={**plan.recorded, "identity": plan.identity}, folder=chosen, depth=plan.material.depth, run_id=run_id,
        )  # fmt: skip
        return models.by_id(catalog, model_id)


def _material(workspace: Workspace, split: Split, modality: str, max_share: float | None, max_depth: int) -> _Material:
    if max_share is not None and not 0 <= max_share < 1:
        raise SettingError(f"max_share must be at least 0 and under 1, got {max_share}", hint="--max-share 0.5")
    catalog = workspace.catalog
    learned = _of_modality(models.members(catalog, split, "train"), modality)
    watched = _of_modality(models.members(catalog, split, "validation"), modality)
    if not learned.num_rows:
        raise InputError(f"{split.reference}/train has no {modality} sample", hint="choose a generator of the other modality")
    notes = []
    frozen = splits.counts(catalog, split).get("train", 0)
    if frozen > learned.num_rows:
        notes.append(
            f"{frozen - learned.num_rows:,} of the part's {frozen:,} samples were left out: dropped since, or not {modality}"
        )
    drawn = None
    if max_share is not None:
        candidates = _of_modality(models.accepted_of_split(catalog, split, max_depth), modality)
        drawn = _within_share(candidates, learned, max_share)
        taken = f"{drawn.num_rows:,} of {candidates.num_rows:,} accepted synthetic samples"
        notes.append(f"{taken} take part (at most {max_share:g} of a label)")
    depth = int(max(drawn["depth"].to_pylist())) if drawn is not None and drawn.num_rows else 0
    return _Material(
        train=_examples(workspace, modality, learned, drawn),
        validation=_examples(workspace, modality, watched, None),
        digest=_digest(
            [t["content_hash"].to_pylist() + t["label"].to_pylist() for t in (learned, watched, drawn) if t is not None]
        ),
        synthetic=drawn.num_rows if drawn is not None else 0,
        depth=depth,
        notes=tuple(notes),
    )


def _within_share(drawn: pa.Table, real: pa.Table, max_share: float) -> pa.Table:
    """The first synthetic samples of each label, so many that they are at most `max_share` of the label's samples."""
    room = {label: int(count * max_share / (1 - max_share)) for label, count in Counter(real["label"].to_pylist()).items()}
    rows = []
    for row, label in enumerate(drawn["label"].to_pylist()):
        if room.get(label, 0) > 0:
            room[label] -= 1
            rows.append(row)
    return drawn.take(pa.array(rows, pa.int64()))


def _examples(workspace: Workspace, modality: str, real: pa.Table, drawn: pa.Table | None) -> Examples:
    tables = [real] if drawn is None else [real, drawn.select(real.column_names)]
    table = pa.concat_tables(tables)
    labels, ids = table["label"].to_pylist(), table["sample_id"].to_pylist()
    if modality == "text":
        return Examples(labels=labels, texts=table["text"].to_pylist(), ids=ids)
    blobs = table["blob"].to_pylist()

    def media(row: int) -> bytes:
        store = workspace.real if row < real.num_rows else workspace.synthetic
        return store.read(blobs[row])

    return Examples(labels=labels, media=media, ids=ids)


def _of_modality(table: pa.Table, modality: str) -> pa.Table:
    return table.filter(pc.equal(table["modality"], modality))


def _curve(report: FitReport) -> list[tuple[int, str, float]]:
    rows = [(row.step, "train", row.loss) for row in report.curve]
    return rows + [(row.step, "validation", row.validation_loss) for row in report.curve if row.validation_loss is not None]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
