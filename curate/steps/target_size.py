"""`target_size`: finds the threshold at which dedupe keeps as many samples as are wanted, and applies it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from curate.arguments import as_items
from curate.catalog import datasets, samples
from curate.catalog.datasets import Dataset
from curate.deduplication.contents import Contents, distinct_contents
from curate.deduplication.inputs import Materials, embed_missing_vectors
from curate.deduplication.job import dedupe_dataset
from curate.deduplication.methods import Method, choose_methods
from curate.deduplication.references import check_comparable, find_references, gather
from curate.deduplication.report import DedupeReport
from curate.deduplication.rounds import judge_with
from curate.deduplication.shield import shield_of, with_aside
from curate.deduplication.thresholds import at_threshold, one_method
from curate.errors import InputError, SettingError
from curate.reports import Report
from curate.workspace import Workspace

STEPS = 10_000
"""Thresholds are tried in whole parts of so many, so that what is found can be typed."""
LEAST = 0.5
"""No lower threshold is tried: it would call unlike things duplicates."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How many samples a threshold keeps."""

    threshold: float
    kept: int


@dataclass(frozen=True, slots=True, repr=False)
class TargetReport(Report):
    """The threshold that was found.

    Attributes:
        target: how many samples were wanted.
        kept: how many the threshold keeps, at least as many.
        trials: every threshold that was tried, in the order of the search.
        applied: what dedupe then did; None after a dry run.
    """

    dataset: str
    method: str
    measure: str
    target: int
    threshold: float
    kept: int
    samples: int
    trials: tuple[Trial, ...]
    applied: DedupeReport | None
    dry_run: bool
    seconds: float
    notes: tuple[str, ...] = ()


def target_size(
    workspace: Workspace,
    dataset: str,
    target: int,
    *,
    method: str | None = None,
    against: str | Sequence[str] = (),
    protect: str | Sequence[str] = (),
    keep: str = "first",
    embedder: str | None = None,
    settings: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    yes: bool = False,
) -> TargetReport:
    """Choose the lowest threshold that keeps at least `target` samples, and dedupe by equality and by that method.

    Thresholds from 0.5 to 1 are halved between until two neighbours of 0.0001 are left; sketches and vectors are made once.

    Args:
        method: the near-duplicate method whose threshold is sought; semantic for text and perceptual for images by default.
        against, keep, embedder, settings, yes: as `dedupe` takes them.
        protect: as `dedupe` takes it; the rule compares by equality and by the method at its default threshold, not at the one
            that is found.
        dry_run: find the threshold, and change nothing.

    Raises:
        InputError: no such dataset, or no threshold keeps so many or so few; names what can be reached.
        SettingError: a setting is not allowed, or the dataset holds several modalities.
        NeedsConfirmation: as `dedupe` does.
    """
    started = time.monotonic()
    against, protect = as_items(against), as_items(protect)
    catalog = workspace.catalog
    home = datasets.find(catalog, dataset)
    modalities = samples.modalities(catalog, home.dataset_id)
    if not modalities:
        raise InputError(f"{dataset} has no samples", hint=f"curate ingest PATH --dataset {dataset}")
    if len(modalities) > 1:
        raise SettingError(
            f"{dataset} holds {' and '.join(modalities)}, and a size is found for one kind", hint="give a threshold instead"
        )
    tuned, modality = one_method(
        workspace, method, modalities, threshold=LEAST, settings=settings or {}, embedder=embedder
    )  # fmt: skip
    exact = choose_methods(workspace, ["exact"], modality, threshold=None, settings={}, embedder=None)[0]
    references = find_references(catalog, home, against, ())
    check_comparable(catalog, home, references)
    by_default = {}
    if protect:
        at_default = one_method(workspace, tuned.name, modalities, threshold=None, settings=settings or {}, embedder=embedder)[
            0
        ]
        by_default = {modality: [exact, at_default]}
    shield = shield_of(workspace, home, protect, by_default, yes=yes)
    references += shield.shelters()
    notes = embed_missing_vectors(
        workspace, dict.fromkeys([dataset, *(r.dataset.name for r in references)]), {modality: [tuned]}
    )
    rows = gather(catalog, home, references, modality, keep=keep)
    contents = distinct_contents(with_aside(rows.own, shield.aside(modality)), rows.other, keep)
    trials = _search(workspace, home, contents, [exact, tuned], target)
    best = min((t for t in trials if t.kept >= target), key=lambda t: (t.kept, -t.threshold))
    applied = None
    if not dry_run:
        same_sketches = {k: v for k, v in tuned.deduper.settings.items() if k in ("bands", "rows")}
        applied = dedupe_dataset(
            workspace, dataset, methods=["exact", tuned.name], threshold={tuned.name: best.threshold}, against=against,
            shield=shield, keep=keep, embedder=embedder, settings={**(settings or {}), **same_sketches}, yes=yes,
        )  # fmt: skip
        best = replace(best, kept=applied.kept)
    return TargetReport(
        dataset=dataset,
        method=tuned.name,
        measure=tuned.deduper.measure,
        target=target,
        threshold=best.threshold,
        kept=best.kept,
        samples=rows.own.num_rows,
        trials=tuple(trials),
        applied=applied,
        dry_run=dry_run,
        seconds=round(time.monotonic() - started, 3),
        notes=(*notes, *shield.notes),
    )


def _search(workspace: Workspace, home: Dataset, contents: Contents, methods: list[Method], target: int) -> list[Trial]:
    """Try both ends, then halve what lies between, until a threshold keeps the very number or two neighbours are left."""
    exact, tuned = methods  # the latter at the lowest threshold, whose sketches serve all
    trials: list[Trial] = []
    with Materials(workspace, contents, workspace.memory_bytes) as materials:
        materials.sketches(tuned)

        def kept_at(step: int) -> int:
            threshold = step / STEPS
            judged = judge_with(materials, contents, [exact, at_threshold(tuned, threshold)])
            trials.append(Trial(threshold, judged.own - judged.user_dropped - judged.drops.num_rows))
            return trials[-1].kept

        low, high = round(LEAST * STEPS), STEPS
        most, least = kept_at(high), kept_at(low)
        if not least <= target <= most:
            reach = f"from {least:,} (at {LEAST:g}) to {most:,} (at 1)"
            raise InputError(
                f"{tuned.name} cannot keep {target:,} samples of {home.name}: it keeps {reach}",
                hint=f"curate target-size {home.name} {max(least, min(target, most))}",
            )
        while high - low > 1 and target not in (trials[-1].kept, most, least):
            middle = (low + high) // 2
            low, high = (low, middle) if kept_at(middle) >= target else (middle, high)
    return trials
