"""`drop`: drops samples in the user's own name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from curate.arguments import as_items
from curate.deduplication.upholding import uphold_samples
from curate.errors import SettingError
from curate.filtering.by_hand import VerdictReport, judge_by_hand
from curate.retrieval.querying import CONDITION_TIMEOUT_S, matching
from curate.workspace import Workspace


def drop(
    workspace: Workspace,
    sample_ids: int | Sequence[int] = (),
    *,
    where: str | None = None,
    timeout_s: float = CONDITION_TIMEOUT_S,
) -> VerdictReport:
    """Drop real samples by id, or all that a condition names; what a later dedupe finds to resemble them goes too.

    Args:
        where: a boolean SQL expression over the columns of `samples`, such as "label = 'spam'"; it runs as `sql` does, in a
            process that can only read, and the catalog is let go of meanwhile.
        timeout_s: seconds that the condition may take.

    Raises:
        InputError: an id is no real sample; nothing was changed.
        SettingError: neither ids nor a condition, or no valid condition.
        WorkError: the condition took too long or too much memory; nothing was changed.
    """
    ids: Sequence[int] = as_items(sample_ids)
    if bool(ids) == bool(where):
        raise SettingError(
            "drop takes sample ids or a condition", hint="curate drop 17 18, or curate drop --where \"label = 'spam'\""
        )
    if where:
        ids = matching(workspace, where, real_only=True, timeout_s=timeout_s).tolist()
    report = judge_by_hand(workspace, "drop", ids)
    return replace(report, notes=uphold_samples(workspace, ids, kept=False))
