"""`dedupe`: decides which samples repeat another, and records the evidence."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog import datasets, samples, vectors, verdicts
from curate.errors import InputError, NeedsConfirmation, SettingError
from curate.steps._contents import distinct_contents
from curate.steps._judging import Judgement, judge_contents
from curate.steps._methods import Method, check_all_used, choose_methods
from curate.steps.embed import embed
from curate.workspace import Workspace

ALARM_DROPPED = 0.9  # of the samples
ALARM_GROUP = 0.25  # of the samples, in one group of near-duplicates
ALARM_MIN_SAMPLES = 100


@dataclass(frozen=True, slots=True)
class DedupeReport:
    """What was decided; `samples = kept + dropped`.

    Attributes:
        groups: how many samples stand for at least one other.
        largest_group: the most samples in one group, with the one that is kept.
        by_method: dropped samples by the method that dropped them; "user" are those that a user dropped.
        newly_dropped, restored: how the verdicts changed.
        relabelled: dropped samples whose label is not that of the sample that stands for them: where labels contradict.
        thresholds: the least similarity by method.
        compared: pairs verified by a true measure.
    """

    run_id: int | None
    dataset: str
    samples: int
    kept: int
    dropped: int
    groups: int
    largest_group: int
    by_method: dict[str, int]
    newly_dropped: int
    restored: int
    relabelled: int
    thresholds: dict[str, float]
    measures: dict[str, str]
    compared: int
    keep: str
    against: str | None
    dry_run: bool
    seconds: float
    notes: tuple[str, ...] = ()


def dedupe(
    workspace: Workspace,
    dataset: str,
    *,
    methods: Sequence[str] = (),
    threshold: float | Mapping[str, float] | None = None,
    against: str | None = None,
    keep: str = "first",
    embedder: str | None = None,
    settings: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    yes: bool = False,
) -> DedupeReport:
    """Decide anew which samples of a dataset are dropped as duplicates.

    The verdicts of the last dedupe are those that count: what an earlier one dropped and this one does not is
    restored. Samples that a user restored stay, and samples that a user dropped stay dropped together with what resembles them.
    Every dropped sample is tied to one that is kept and at least `threshold` similar to it, by the method's true measure.

    Args:
        methods: dedupers by name, applied together; by default exact, minhash and semantic for text, exact and perceptual
            for images.
        threshold: one for every near-duplicate method, or by method; each method's own by default.
        against: another dataset; what it has already is dropped here in favour of its sample.
        keep: "first", "longest" or "largest".
        embedder: whose vectors `semantic` compares; the workspace's text embedder by default. Missing vectors are made first.
        settings: of the methods, by name: {"ngram": 7, "invariant": "flip"}.
        dry_run: report, and change nothing.
        yes: go on where more than 90 % would be dropped, or a quarter of the samples falls into one group.

    Raises:
        InputError: no such dataset, or it is empty.
        SettingError: a method, threshold or setting is not allowed.
        NeedsConfirmation: see `yes`; nothing was changed.
    """
    started = time.monotonic()
    catalog = workspace.catalog
    home = datasets.find(catalog, dataset)
    other = datasets.find(catalog, against) if against else None
    if other is not None and other.dataset_id == home.dataset_id:
        raise SettingError(f"--against names the dataset itself, {dataset!r}", hint="leave it out")
    modalities = samples.modalities(catalog, home.dataset_id)
    if not modalities:
        raise InputError(f"{dataset} has no samples", hint=f"curate ingest PATH --dataset {dataset}")
    plan = {
        modality: choose_methods(workspace, methods, modality, threshold=threshold, settings=settings or {}, embedder=embedder)
        for modality in modalities
    }
    check_all_used(plan, methods, threshold, settings or {})
    notes = _embed_missing(workspace, [d for d in (dataset, against) if d], plan)

    def judge_all() -> dict[str, Judgement]:
        judged = {}
        for modality, chosen in plan.items():
            own = verdicts.rows_to_judge(catalog, home.dataset_id, modality)
            theirs = verdicts.rows_to_judge(catalog, other.dataset_id, modality) if other else None
            judged[modality] = judge_contents(workspace, distinct_contents(own, theirs, keep), chosen, modality)
            notes.extend(judged[modality].notes)
        return judged

    def report(run_id: int | None, judged: dict[str, Judgement], changes: list[tuple[int, int, int]]) -> DedupeReport:
        return DedupeReport(
            run_id=run_id,
            dataset=dataset,
            **_counts(judged),
            newly_dropped=sum(change[0] for change in changes),
            restored=sum(change[2] for change in changes),
            relabelled=sum(verdicts.count_relabelled(catalog, j.drops) for j in judged.values()),
            thresholds={m.name: m.deduper.threshold for chosen in plan.values() for m in chosen},
            measures={m.name: m.deduper.measure for chosen in plan.values() for m in chosen},
            keep=keep,
            against=against,
            dry_run=run_id is None,
            seconds=round(time.monotonic() - started, 3),
            notes=tuple(dict.fromkeys(notes)),
        )

    if dry_run:
        judged = judge_all()
        return report(None, judged, [verdicts.would_decide(catalog, home.dataset_id, m, j.drops) for m, j in judged.items()])
    asked = {
        "methods": {modality: {m.name: m.recorded for m in chosen} for modality, chosen in plan.items()},
        "keep": keep,
        "against": against,
    }
    with workspace.run("dedupe", dataset=dataset, settings=asked) as run:
        judged = judge_all()
        if not yes:
            _stop_if_alarming(workspace, judged)
        with catalog.transaction():
            changes = [verdicts.decide(catalog, run.run_id, home.dataset_id, m, j.drops) for m, j in judged.items()]
            done = report(run.run_id, judged, changes)
            run.commit_counts(
                {"samples": done.samples, "kept": done.kept, "dropped": done.dropped, "by_method": done.by_method}
            )
    return done


def _embed_missing(workspace: Workspace, names: Sequence[str], plan: Mapping[str, Sequence[Method]]) -> list[str]:
    """Make the vectors that a method compares and that are not there yet."""
    notes = []
    wanted = {(m.embedder, m.slug): modality for modality, chosen in plan.items() for m in chosen if m.embedder and m.slug}
    for (spec, slug), modality in wanted.items():
        for name in names:
            if _lacks_vectors(workspace, name, slug, modality):
                made = embed(workspace, name, embedder=spec)
                notes.append(f"{made.embedded:,} samples of {name} were embedded with {spec} first ({made.seconds:.1f} s)")
    return notes


def _lacks_vectors(workspace: Workspace, name: str, slug: str, modality: str) -> bool:
    catalog = workspace.catalog
    if all(row.slug != slug for row in vectors.embedders(catalog)):
        return True
    return len(vectors.missing(catalog, slug, datasets.find(catalog, name).dataset_id, [modality])) > 0


def _counts(judged: Mapping[str, Judgement]) -> dict[str, Any]:
    drops = pa.concat_tables([j.drops for j in judged.values()])
    total = sum(j.own for j in judged.values())
    banned = sum(j.banned for j in judged.values())
    by_method = Counter(drops["reason"].to_pylist())
    if banned:
        by_method[verdicts.USER] = banned
    _, sizes = np.unique(drops["keeper_id"].to_numpy(), return_counts=True)
    return {
        "samples": total,
        "kept": total - banned - drops.num_rows,
        "dropped": banned + drops.num_rows,
        "groups": len(sizes),
        "largest_group": int(sizes.max()) + 1 if len(sizes) else 0,
        "by_method": dict(by_method),
        "compared": sum(j.compared for j in judged.values()),
    }


def _stop_if_alarming(workspace: Workspace, judged: Mapping[str, Judgement]) -> None:
    total = sum(j.own for j in judged.values())
    drops = pa.concat_tables([j.drops for j in judged.values()])
    near = drops.filter(pc.less(drops["similarity"], 1.0))
    if total < ALARM_MIN_SAMPLES or not near.num_rows:
        return
    keepers, sizes = np.unique(near["keeper_id"].to_numpy(), return_counts=True)
    if drops.num_rows > ALARM_DROPPED * total:
        what = f"{drops.num_rows:,} of {total:,} samples would be dropped"
    elif sizes.max() > ALARM_GROUP * total:
        what = f"one group of near-duplicates would hold {sizes.max() + 1:,} of {total:,} samples"
    else:
        return
    keeper = int(keepers[sizes.argmax()])
    members = near.filter(pc.equal(near["keeper_id"], keeper)).sort_by([("similarity", "descending")])
    shown = [keeper, *members["sample_id"].to_pylist()[:: max(1, members.num_rows // 4)][:4]]
    found = samples.by_ids(workspace.catalog, pa.table({"sample_id": pa.array(shown, pa.int64())}))
    excerpts = "".join(
        f"\n    {n}: {' '.join((found[n].text or found[n].locator or found[n].source).split())[:100]}" for n in shown
    )
    raise NeedsConfirmation(
        f"{what}; nothing was changed. The largest group, its kept sample first:{excerpts}",
        hint="raise --threshold, look with --dry-run, or go on with --yes",
    )
