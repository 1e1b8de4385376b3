"""One dedupe of one dataset: what is compared with what, the verdicts that follow, and the report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curate.catalog import datasets, samples, vectors, verdicts
from curate.columns import as_array, as_truth
from curate.deduplication.contents import Contents, distinct_contents
from curate.deduplication.contents_cache import known_contents
from curate.deduplication.inputs import embed_missing_vectors
from curate.deduplication.methods import Method, check_all_used, choose_methods
from curate.deduplication.references import Reference, check_comparable, count_matches, find_references, gather, listed
from curate.deduplication.round_cache import Memory
from curate.deduplication.rounds import Judgement, judge_contents
from curate.errors import InputError, NeedsConfirmation
from curate.workspace import Workspace, parse_bytes

ALARM_DROPPED = 0.9  # of the samples


ALARM_GROUP = 0.25  # of the samples, in one group of near-duplicates


ALARM_MIN_SAMPLES = 100


LIBRARIES_BYTES = 320_000_000
"""What the process takes before it holds any data, with all that a method loads."""


CATALOG_SHARE = 4
"""The catalog may hold a quarter of the memory."""


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
        compared: pairs verified by a true measure, in this run.
        taken_over: distinct contents of which an earlier run's first findings hold still.
        against, protect: the sets that it was compared with, as one types them; of a split the version is named.
        matched: for each of these sets, dropped samples that stand behind one of its samples.
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
    taken_over: int
    keep: str
    against: tuple[str, ...]
    protect: tuple[str, ...]
    matched: dict[str, int]
    dry_run: bool
    seconds: float
    notes: tuple[str, ...] = ()


def _plan(
    workspace: Workspace,
    home: datasets.Dataset,
    methods: Sequence[str],
    threshold: float | Mapping[str, float] | None,
    settings: Mapping[str, Any],
    embedder: str | None,
) -> dict[str, list[Method]]:
    """The methods for each modality of a dataset."""
    modalities = samples.modalities(workspace.catalog, home.dataset_id)
    if not modalities:
        raise InputError(f"{home.name} has no samples", hint=f"curate ingest PATH --dataset {home.name}")
    plan = {
        modality: choose_methods(workspace, methods, modality, threshold=threshold, settings=settings, embedder=embedder)
        for modality in modalities
    }
    check_all_used(plan, methods, threshold, settings)
    return plan


@dataclass(frozen=True, slots=True)
class _Job:
    """One dataset, the sets that it is compared with, and the methods by modality."""

    workspace: Workspace
    home: datasets.Dataset
    references: tuple[Reference, ...]
    plan: Mapping[str, Sequence[Method]]
    keep: str
    memory_bytes: int

    def asked(self) -> dict[str, Any]:
        """What the run records."""
        chosen = {modality: {m.name: m.recorded for m in chosen} for modality, chosen in self.plan.items()}
        return {"methods": chosen, "keep": self.keep, "against": self._named("against"), "protect": self._named("protect")}

    def _named(self, kind: str) -> list[str]:
        return [reference.name for reference in self.references if reference.kind == kind]

    def judge(self) -> dict[str, Judgement]:
        """Judge every modality."""
        return {modality: self._judge(modality, chosen) for modality, chosen in self.plan.items()}

    def _judge(self, modality: str, chosen: Sequence[Method]) -> Judgement:
        contents, taking_part, said = self._contents(modality)
        judged = judge_contents(
            self.workspace, contents, chosen, modality, memory=self._memory(modality, chosen), memory_bytes=self.memory_bytes
        )
        matched = count_matches(contents, judged.drops, taking_part)
        return replace(judged, matched=matched, notes=(*judged.notes, *said))

    def _contents(self, modality: str) -> tuple[Contents, dict[str, NDArray[np.int64]], list[str]]:
        """What is judged, the ids of each set that it is compared with, and what is to be said of these."""
        if not self.references and self.keep == "first":
            return known_contents(self.workspace, self.home.dataset_id, modality), {}, []
        rows = gather(self.workspace.catalog, self.home, self.references, modality, keep=self.keep)
        contents = distinct_contents(rows.own, rows.other, self.keep)
        return contents, rows.taking_part, rows.notes(int(contents.pinned.sum()))

    def _memory(self, modality: str, chosen: Sequence[Method]) -> Memory:
        """Where the judgement of the same samples by the same rules is kept."""
        prints = {row.slug: row.fingerprint for row in vectors.embedders(self.workspace.catalog)}
        rules = [(m.name, m.recorded, prints[m.slug] if m.slug else None) for m in chosen]
        about = {
            "dataset": self.home.dataset_id,
            "compared_with": sorted(reference.name for reference in self.references),
            "modality": modality,
            "rules": rules,
        }
        return Memory(self.workspace.root / "indexes" / "judged", about, writable=not self.workspace.read_only)

    def change(self, run_id: int, judged: Mapping[str, Judgement]) -> list[tuple[int, int, int]]:
        """Write the verdicts that differ; see `verdicts.decide`."""
        catalog = self.workspace.catalog
        return [verdicts.decide(catalog, run_id, self.home.dataset_id, m, j.drops) for m, j in judged.items()]

    def would_change(self, judged: Mapping[str, Judgement]) -> list[tuple[int, int, int]]:
        """What `change` would write."""
        catalog = self.workspace.catalog
        return [verdicts.would_decide(catalog, self.home.dataset_id, m, j.drops) for m, j in judged.items()]

    def report(
        self,
        run_id: int | None,
        judged: Mapping[str, Judgement],
        changes: Sequence[tuple[int, int, int]],
        started: float,
        notes: Sequence[str],
    ) -> DedupeReport:
        """Everything that the report says; `started` is the monotonic clock's."""
        methods = [m for chosen in self.plan.values() for m in chosen]
        return DedupeReport(
            run_id=run_id,
            dataset=self.home.name,
            **_counts(judged),
            newly_dropped=sum(change[0] for change in changes),
            restored=sum(change[2] for change in changes),
            relabelled=sum(verdicts.count_relabelled(self.workspace.catalog, j.drops) for j in judged.values()),
            thresholds={m.name: m.deduper.threshold for m in methods},
            measures={m.name: m.deduper.measure for m in methods},
            keep=self.keep,
            against=tuple(self._named("against")),
            protect=tuple(self._named("protect")),
            matched={r.name: sum(j.matched.get(r.name, 0) for j in judged.values()) for r in self.references},
            dry_run=run_id is None,
            seconds=round(time.monotonic() - started, 3),
            notes=tuple(dict.fromkeys([*notes, *(note for j in judged.values() for note in j.notes)])),
        )


def _counts(judged: Mapping[str, Judgement]) -> dict[str, Any]:
    drops = pa.concat_tables([j.drops for j in judged.values()])
    total = sum(j.own for j in judged.values())
    banned = sum(j.banned for j in judged.values())
    by_method = Counter(drops["reason"].to_pylist())
    if banned:
        by_method[verdicts.USER] = banned
    _, sizes = np.unique(as_array(drops["keeper_id"]), return_counts=True)
    return {
        "samples": total,
        "kept": total - banned - drops.num_rows,
        "dropped": banned + drops.num_rows,
        "groups": len(sizes),
        "largest_group": int(sizes.max()) + 1 if len(sizes) else 0,
        "by_method": dict(by_method),
        "compared": sum(j.compared for j in judged.values()),
        "taken_over": sum(j.taken_over for j in judged.values()),
    }


def _stop_if_alarming(workspace: Workspace, judged: Mapping[str, Judgement]) -> None:
    total = sum(j.own for j in judged.values())
    drops = pa.concat_tables([j.drops for j in judged.values()])
    near = drops.filter(as_truth(as_array(drops["similarity"]) < 1))
    if total < ALARM_MIN_SAMPLES or not near.num_rows:
        return
    keepers, sizes = np.unique(as_array(near["keeper_id"]), return_counts=True)
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


def dedupe_dataset(
    workspace: Workspace,
    dataset: str,
    *,
    methods: Sequence[str] = (),
    threshold: float | Mapping[str, float] | None = None,
    against: str | Sequence[str] = (),
    protect: str | Sequence[str] = (),
    keep: str = "first",
    embedder: str | None = None,
    settings: Mapping[str, Any] | None = None,
    memory: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
) -> DedupeReport:
    """Judge a dataset, and write the verdicts; the step `dedupe` says what the arguments mean."""
    started = time.monotonic()
    memory_bytes = parse_bytes(memory) if memory else workspace.memory_bytes
    with workspace.catalog.holding(memory_bytes // CATALOG_SHARE):
        home = datasets.find(workspace.catalog, dataset)
        references = find_references(workspace.catalog, home, listed(against), listed(protect))
        plan = _plan(workspace, home, methods, threshold, settings or {}, embedder)
        check_comparable(workspace.catalog, home, references)
        notes = embed_missing_vectors(workspace, dict.fromkeys([dataset, *(r.dataset.name for r in references)]), plan)
        if memory_bytes < 2 * LIBRARIES_BYTES:
            notes.append(
                f"the libraries take some {LIBRARIES_BYTES / 1e6:.0f} MB; so small a memory limit is for what comes on top"
            )
        job = _Job(workspace, home, references, plan, keep, memory_bytes)
        if dry_run:
            judged = job.judge()
            return job.report(None, judged, job.would_change(judged), started, notes)
        with workspace.run("dedupe", dataset=dataset, settings=job.asked()) as run:
            judged = job.judge()
            if not yes:
                _stop_if_alarming(workspace, judged)
            with workspace.catalog.transaction():
                done = job.report(run.run_id, judged, job.change(run.run_id, judged), started, notes)
                run.commit_counts(
                    {"samples": done.samples, "kept": done.kept, "dropped": done.dropped, "by_method": done.by_method}
                )
        return done
