"""`filter`: drops what a rule about single samples says is not worth keeping."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curate import plugins
from curate.catalog import datasets, samples, verdicts
from curate.catalog.datasets import Dataset
from curate.catalog.samples import Sample
from curate.deduplication.upholding import uphold
from curate.errors import InputError, SettingError
from curate.filtering.sweep import Sweep, judged_modalities, sweep
from curate.filters import Filter
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Example:
    """A sample, and why it is dropped; None where the rule keeps it."""

    sample: Sample
    reason: str | None


@dataclass(frozen=True, slots=True, repr=False)
class FilterReport(Report):
    """What a rule decided; `samples = judged + others`, `judged = passed + dropped`.

    Attributes:
        owner: under which name its verdicts stand: "filter:length".
        judged: samples that the rule was asked about, whatever else was decided about them.
        others: samples of a modality that it does not judge.
        reasons: dropped samples by reason.
        newly_dropped, restored: how the rule's verdicts changed; a restored sample is kept now.
        kept: samples of the dataset that no rule and no user drops now; None after a dry run.
        pinned: samples that the rule drops and a user pinned; they stay.
        examples: some that are dropped, of each reason, and some that pass.
    """

    run_id: int | None
    dataset: str
    rule: str
    owner: str
    settings: dict[str, Any]
    samples: int
    judged: int
    others: int
    passed: int
    dropped: int
    reasons: dict[str, int]
    newly_dropped: int
    restored: int
    kept: int | None
    pinned: int
    examples: tuple[Example, ...]
    dry_run: bool
    seconds: float
    notes: tuple[str, ...] = ()


def filter(
    workspace: Workspace,
    dataset: str,
    rule: str,
    *,
    settings: Mapping[str, Any] | None = None,
    examples: int = 3,
    dry_run: bool = False,
) -> FilterReport:
    """Drop the samples of a dataset that a rule does not let pass, under the rule's own name.

    The rule's last run is the one that counts: what an earlier one dropped and this one lets pass comes back, unless another
    rule or the user drops it. What it drops is neither compared nor kept in anybody's favour by a later dedupe.

    Args:
        rule: a filter by name, such as "length".
        settings: of the filter, such as {"min_words": 5}.
        examples: how many samples to show of each reason, and of those that pass.
        dry_run: report, and change nothing.

    Raises:
        InputError: no such dataset, or it is empty.
        SettingError: no such filter, or a setting is not allowed.
    """
    started = time.monotonic()
    found = datasets.find(workspace.catalog, dataset)
    chosen = make_filter(rule, settings or {})
    owner = f"filter:{rule}"
    if not samples.count(workspace.catalog, found.dataset_id):
        raise InputError(f"{dataset} has no samples", hint=f"curate ingest PATH --dataset {dataset}")
    if dry_run:
        said = sweep(workspace.catalog, found, chosen, workspace.progress)
        change = verdicts.would_decide_by_rule(workspace.catalog, found.dataset_id, said.drops, owner=owner)
        run_id = None
    else:
        asked = {"rule": rule, **chosen.settings}
        with workspace.run("filter", dataset=dataset, settings=asked) as run, workspace.catalog.transaction():
            said = sweep(workspace.catalog, found, chosen, workspace.progress)
            change = verdicts.decide_by_rule(workspace.catalog, run.run_id, found.dataset_id, said.drops, owner=owner)
            run.commit_counts({"judged": said.judged, "dropped": said.drops.num_rows, "reasons": said.reasons})
            run_id = run.run_id
    pinned = verdicts.count_user_kept(workspace.catalog, said.drops)
    return FilterReport(
        run_id=run_id,
        dataset=dataset,
        rule=rule,
        owner=owner,
        settings=chosen.settings,
        samples=said.judged + said.others,
        judged=said.judged,
        others=said.others,
        passed=said.judged - said.drops.num_rows,
        dropped=said.drops.num_rows,
        reasons=said.reasons,
        newly_dropped=change.dropped,
        restored=change.restored,
        kept=None if dry_run else samples.count_kept(workspace.catalog, found.dataset_id),
        pinned=pinned,
        examples=_examples(workspace, found, said, examples, judged_modalities(workspace.catalog, found, chosen)),
        dry_run=dry_run,
        seconds=round(time.monotonic() - started, 3),
        notes=(*_notes(said, pinned), *(() if dry_run else uphold(workspace, found))),
    )


def make_filter(rule: str, settings: Mapping[str, Any]) -> Filter:
    """A filter by name with its settings.

    Raises:
        SettingError: there is none, or a setting is not allowed.
    """
    kind = plugins.load("filters", rule)
    try:
        made: Filter = kind(**settings)
    except TypeError as error:
        raise SettingError(f"{rule} does not take these settings: {error}", hint="--setting NAME=VALUE") from error
    return made


def _examples(workspace: Workspace, dataset: Dataset, said: Sweep, count: int, modalities: list[str]) -> tuple[Example, ...]:
    """The first few of each reason, and of those that pass."""
    reason_of: dict[int, str | None] = {}
    taken = dict.fromkeys(said.reasons, 0)
    for sample_id, reason in zip(said.drops["sample_id"].to_pylist(), said.drops["reason"].to_pylist(), strict=True):
        if taken[reason] < count:
            taken[reason] += 1
            reason_of[sample_id] = reason
    passing = (
        samples.first_without(workspace.catalog, dataset.dataset_id, modalities, said.drops, limit=count) if modalities else []
    )
    reason_of.update(dict.fromkeys(passing))
    known = samples.by_ids(workspace.catalog, pa.table({"sample_id": pa.array(list(reason_of), pa.int64())}))
    return tuple(Example(known[sample_id], reason) for sample_id, reason in reason_of.items())


def _notes(said: Sweep, pinned: int) -> list[str]:
    notes = []
    if not said.drops.num_rows:
        notes.append("the rule drops nothing")
    elif said.drops.num_rows > 0.9 * said.judged:
        notes.append("the rule drops more than 90 % of what it judged: look before you trust it")
    if said.others:
        notes.append(f"{said.others:,} samples are of a modality that the rule does not judge")
    if pinned:
        notes.append(f"{pinned:,} samples that the rule drops stay, because a user pinned them")
    return notes
