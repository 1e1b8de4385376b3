"""`train`: a generator learns from the train part of a frozen split."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curate.catalog import models
from curate.catalog.models import ModelRow
from curate.errors import WorkError
from curate.generators import FitOptions, FitReport, barrier, is_main_process
from curate.reports import Report
from curate.synthesis.learning import Learned, learn, threads_each
from curate.synthesis.planning import Asked, Plan, model_of, plan_training
from curate.workspace import Workspace
from curate.workspace.sealed_files import seal_model


@dataclass(frozen=True, slots=True, repr=False)
class TrainReport(Report):
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

    Under `accelerate launch` every process calls this; those beside the main one open the workspace `detached`, read the
    catalog while the main one has let go of it, and write nothing.

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
    asked = Asked(
        family,
        spec,
        preset,
        {**(settings or {}), **({"base": base} if base else {}), **({"lora": True} if lora else {})},
        max_share if include_synthetic else None,
        max_depth,
    )
    options = FitOptions(device=device, threads=threads_each(workspace))
    if not is_main_process():
        return _follow(workspace, asked, options, started)
    plan = plan_training(workspace, asked)
    with workspace.run("train", dataset=plan.split.dataset, settings=plan.recorded) as run:
        model = model_of(workspace, plan, base, name, run.run_id)
        with workspace.released():
            barrier(device)  # the others read the catalog now
            barrier(device)
            learned = _learn(workspace, plan, model, options)
        if model.checkpoint_hash is None:
            with workspace.catalog.transaction():
                models.finish(workspace.catalog, model.model_id, learned.checkpoint_hash, run.run_id, _curve(learned.fitted))
                seal_model(workspace.root, workspace.catalog, model.model_id, model.folder, run.run_id)
                run.commit_counts({"samples": len(plan.material.train), "steps": learned.fitted.steps, "model": model.name})
    return _report(run.run_id, plan, model, learned, started)


def _follow(workspace: Workspace, asked: Asked, options: FitOptions, started: float) -> TrainReport:
    """Take part in the training that the main process of a launch has recorded."""
    barrier(options.device)
    with workspace.reading():
        plan = plan_training(workspace, asked)
        model = models.with_identity(workspace.catalog, plan.identity)
    if model is None:
        raise WorkError("the processes of this launch do not train the same: the main one recorded another training")
    barrier(options.device)
    return _report(model.run_id, plan, model, _learn(workspace, plan, model, options), started)


def _learn(workspace: Workspace, plan: Plan, model: ModelRow, options: FitOptions) -> Learned:
    folder, finished = workspace.folder("models", model.folder), model.checkpoint_hash is not None
    return learn(plan, folder, finished=finished, options=options, progress=workspace.progress)


def _report(run_id: int, plan: Plan, model: ModelRow, learned: Learned, started: float) -> TrainReport:
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


def _curve(report: FitReport) -> list[tuple[int, str, float]]:
    rows = [(row.step, "train", row.loss) for row in report.curve]
    return rows + [(row.step, "validation", row.validation_loss) for row in report.curve if row.validation_loss is not None]
