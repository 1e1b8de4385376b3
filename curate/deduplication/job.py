"""One dedupe of one dataset: what is compared with what, and the verdicts that follow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.catalog import datasets, evidence, vectors, verdicts
from curate.catalog.datasets import Dataset
from curate.deduplication.alarm import copies_note, stop_if_alarming
from curate.deduplication.contents import Contents, distinct_contents
from curate.deduplication.contents_cache import known_contents
from curate.deduplication.inputs import embed_missing_vectors
from curate.deduplication.judgement_cache import JudgementCache
from curate.deduplication.kinds import count_kinds, count_parted, say_parted
from curate.deduplication.methods import Method, plan_methods
from curate.deduplication.references import Reference, check_comparable, count_matches, find_references, gather, listed
from curate.deduplication.report import DedupeReport, counts
from curate.deduplication.rounds import Judgement, judge_contents
from curate.deduplication.shield import Shield, shield_of, with_aside
from curate.deduplication.unread import say_unread
from curate.deduplication.upholding import uphold
from curate.workspace import Workspace, parse_bytes

LIBRARIES_BYTES = 320_000_000
"""What the process takes before it holds any data, with all that a method loads."""
CATALOG_SHARE = 4
"""The catalog may hold a quarter of the memory."""


@dataclass(frozen=True, slots=True)
class Job:
    """One dataset, the sets that it is compared with, and the methods by modality."""

    workspace: Workspace
    dataset: Dataset
    references: tuple[Reference, ...]
    plan: Mapping[str, Sequence[Method]]
    keep: str
    memory_bytes: int
    shield: Shield

    def asked(self) -> dict[str, Any]:
        """What the run records."""
        chosen = {modality: {m.name: m.recorded for m in chosen} for modality, chosen in self.plan.items()}
        return {"methods": chosen, "keep": self.keep, "against": self._named("against"), "protect": [*self.shield.names]}

    def _named(self, kind: str) -> list[str]:
        return [reference.name for reference in self.references if reference.kind == kind]

    def judge(self) -> dict[str, Judgement]:
        """Judge every modality."""
        return {modality: self._judge(modality, chosen) for modality, chosen in self.plan.items()}

    def _judge(self, modality: str, chosen: Sequence[Method]) -> Judgement:
        contents, taking_part, said = self._contents(modality)
        judged = judge_contents(
            self.workspace, contents, chosen, modality, cache=self._cache(modality, chosen), memory_bytes=self.memory_bytes
        )
        matched = count_matches(contents, judged.drops, taking_part)
        return replace(judged, matched=matched, notes=(*judged.notes, *said))

    def _contents(self, modality: str) -> tuple[Contents, dict[str, NDArray[np.int64]], list[str]]:
        """What is judged, the ids of each set that it is compared with, and what is to be said of these."""
        aside = self.shield.aside(modality)
        if not self.references and self.keep == "first":
            contents = known_contents(self.workspace, self.dataset.dataset_id, modality)
            by_user = contents.user_kept | contents.user_dropped
            return contents.without(np.isin(contents.sample_id, aside) & ~by_user), {}, []
        rows = gather(self.workspace.catalog, self.dataset, self.references, modality, keep=self.keep)
        contents = distinct_contents(with_aside(rows.own, aside), rows.other, self.keep)
        return contents, rows.taking_part, rows.notes(int(contents.user_kept.sum()))

    def _cache(self, modality: str, chosen: Sequence[Method]) -> JudgementCache:
        """Where the judgement of the same samples by the same rules is kept."""
        prints = {row.slug: row.fingerprint for row in vectors.embedders(self.workspace.catalog)}
        rules = [(m.name, m.recorded, prints[m.slug] if m.slug else None) for m in chosen]
        about = {
            "dataset": self.dataset.dataset_id,
            "compared_with": sorted(reference.name for reference in self.references),
            "modality": modality,
            "rules": rules,
        }
        return JudgementCache(self.workspace.root / "indexes" / "judged", about, writable=not self.workspace.read_only)

    def change(self, run_id: int, judged: Mapping[str, Judgement]) -> list[verdicts.Change]:
        """Write the verdicts that differ, those of protections first; see `verdicts.decide`."""
        catalog = self.workspace.catalog
        return [
            *self.shield.write(run_id),
            *[verdicts.decide(catalog, run_id, self.dataset.dataset_id, m, j.drops) for m, j in judged.items()],
        ]

    def would_change(self, judged: Mapping[str, Judgement]) -> list[verdicts.Change]:
        """What `change` would write."""
        catalog = self.workspace.catalog
        return [
            *self.shield.would_write(),
            *[verdicts.would_decide(catalog, self.dataset.dataset_id, m, j.drops) for m, j in judged.items()],
        ]

    def report(
        self,
        run_id: int | None,
        judged: Mapping[str, Judgement],
        changes: Sequence[verdicts.Change],
        started: float,
        notes: Sequence[str],
    ) -> DedupeReport:
        """Everything that the report says; `started` is the monotonic clock's."""
        methods = [m for chosen in self.plan.values() for m in chosen]
        guarded = count_parted(judged)
        notes = [*notes, *filter(None, [say_parted(guarded)]), *say_unread(self.workspace, self.dataset, methods)]
        return DedupeReport(
            run_id=run_id,
            dataset=self.dataset.name,
            **counts(judged.values(), self.shield.count(self.plan)),
            kinds=count_kinds(self.workspace.catalog, judged, self.plan),
            guarded=guarded,
            newly_dropped=sum(change.dropped for change in changes),
            restored=sum(change.restored for change in changes),
            relabelled=sum(evidence.count_relabelled(self.workspace.catalog, j.drops) for j in judged.values()),
            thresholds={m.name: m.deduper.threshold for m in methods},
            measures={m.name: m.deduper.measure for m in methods},
            keep=self.keep,
            against=tuple(self._named("against")),
            protect=self.shield.names,
            matched={name: sum(j.matched.get(name, 0) for j in judged.values()) for name in self._named("against")}
            | self.shield.matched(),
            dry_run=run_id is None,
            seconds=round(time.monotonic() - started, 3),
            notes=tuple(dict.fromkeys([*copies_note(judged.values()), *notes, *(n for j in judged.values() for n in j.notes)])),
        )


def dedupe_dataset(
    workspace: Workspace,
    name: str,
    *,
    methods: Sequence[str] = (),
    threshold: float | Mapping[str, float] | None = None,
    against: str | Sequence[str] = (),
    protect: str | Sequence[str] = (),
    keep: str = "first",
    embedder: str | None = None,
    level: str | None = None,
    settings: Mapping[str, Any] | None = None,
    memory: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
    shield: Shield | None = None,
) -> DedupeReport:
    """Judge a dataset, and write the verdicts; the step `dedupe` says what the arguments mean.

    Args:
        shield: the dataset's protections, where they are known already; then `protect` is not looked at.
    """
    started = time.monotonic()
    memory_bytes = parse_bytes(memory) if memory else workspace.memory_bytes
    with workspace.catalog.holding(memory_bytes // CATALOG_SHARE):
        dataset = datasets.find(workspace.catalog, name)
        references = find_references(workspace.catalog, dataset, listed(against), ())
        plan = plan_methods(workspace, dataset, methods, threshold, settings or {}, embedder, level)
        check_comparable(workspace.catalog, dataset, references)
        notes = embed_missing_vectors(workspace, dict.fromkeys([name, *(r.dataset.name for r in references)]), plan)
        shield = shield or shield_of(workspace, dataset, listed(protect), plan, yes=yes)
        references += shield.shelters()
        notes += shield.notes
        if memory_bytes < 2 * LIBRARIES_BYTES:
            notes.append(
                f"the libraries take some {LIBRARIES_BYTES / 1e6:.0f} MB; so small a memory limit is for what comes on top"
            )
        job = Job(workspace, dataset, references, plan, keep, memory_bytes, shield)
        if dry_run:
            judged = job.judge()
            return job.report(None, judged, job.would_change(judged), started, notes)
        with workspace.run("dedupe", dataset=name, settings=job.asked()) as run:
            judged = job.judge()
            if not yes:
                stop_if_alarming(workspace.catalog, judged.values())
            with workspace.catalog.transaction():
                done = job.report(run.run_id, judged, job.change(run.run_id, judged), started, notes)
                run.commit_counts(
                    {"samples": done.samples, "kept": done.kept, "dropped": done.dropped, "by_method": done.by_method}
                )
        return replace(done, notes=(*done.notes, *uphold(workspace, dataset)))
