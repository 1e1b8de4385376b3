"""`restore`: keeps samples in the user's own name, whatever they resemble."""

from __future__ import annotations

from collections.abc import Sequence

from curate.arguments import as_items
from curate.filtering.by_hand import VerdictReport, judge_by_hand
from curate.workspace import Workspace


def restore(workspace: Workspace, sample_ids: int | Sequence[int]) -> VerdictReport:
    """Keep samples whatever any rule says of them: they are pinned, and no dedupe or filter drops them again.

    Raises:
        InputError: an id is no real sample; nothing was changed.
    """
    return judge_by_hand(workspace, "restore", as_items(sample_ids))
