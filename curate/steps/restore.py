"""`restore`: keeps samples in the user's own name, whatever they resemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from curate.arguments import as_items
from curate.deduplication.upholding import uphold_samples
from curate.filtering.by_hand import VerdictReport, judge_by_hand
from curate.workspace import Workspace


def restore(workspace: Workspace, sample_ids: int | Sequence[int]) -> VerdictReport:
    """Keep samples whatever any rule says of them: they are pinned, and no dedupe, filter or protection drops them again.

    One that repeats a sample that its dataset is protected from is told in the report.

    Raises:
        InputError: an id is no real sample; nothing was changed.
    """
    ids = as_items(sample_ids)
    report = judge_by_hand(workspace, "restore", ids)
    return replace(report, notes=uphold_samples(workspace, ids, kept=True))
