"""What a dedupe decided, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curate.catalog import Catalog, verdicts
from curate.catalog.datasets import Dataset
from curate.columns import as_array
from curate.deduplication.rounds import Judgement
from curate.reports import Report


@dataclass(frozen=True, slots=True, repr=False)
class DedupeReport(Report):
    """What was decided; `samples = kept + dropped`.

    Attributes:
        groups: how many samples stand for at least one other.
        largest_group: the most samples in one group, with the one that is kept.
        by_method: dropped samples by the dedupe method, or by who else dropped them: "user", "protect", "filter:length".
        kinds: dropped samples by what they are to the kept one: copies, edits, paraphrases, look-alikes (pictures).
        guarded: kept samples that are similar enough to a kept one to be dropped, by the guard that kept them.
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
    kinds: dict[str, int]
    guarded: dict[str, int]
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


def counts(judged: Iterable[Judgement], aside: Mapping[str, int]) -> dict[str, Any]:
    """The figures of a report that follow from the judgements.

    Args:
        aside: samples that other owners drop, by owner; they were not judged.
    """
    judged = tuple(judged)
    drops = pa.concat_tables([j.drops for j in judged])
    by_user, by_others = sum(j.user_dropped for j in judged), sum(aside.values())
    total = sum(j.own for j in judged) + by_others
    by_method = Counter(drops["reason"].to_pylist())
    if by_user:
        by_method[verdicts.USER] = by_user
    _, sizes = np.unique(as_array(drops["keeper_id"]), return_counts=True)
    return {
        "samples": total,
        "kept": total - by_user - by_others - drops.num_rows,
        "dropped": by_user + by_others + drops.num_rows,
        "groups": len(sizes),
        "largest_group": int(sizes.max()) + 1 if len(sizes) else 0,
        "by_method": {**by_method, **aside},
        "compared": sum(j.compared for j in judged),
        "taken_over": sum(j.taken_over for j in judged),
    }


def count_set_aside(catalog: Catalog, dataset: Dataset, modalities: Iterable[str]) -> dict[str, int]:
    """How many samples of these modalities other owners than dedupe and the user drop, by owner."""
    found = Counter[str]()
    for modality in modalities:
        found.update(verdicts.set_aside(catalog, dataset.dataset_id, modality)["owner"].to_pylist())
    return dict(found)
