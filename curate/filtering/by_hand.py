"""Verdicts in the user's own name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from curate.catalog import verdicts
from curate.errors import InputError
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class VerdictReport(Report):
    """What changed.

    Attributes:
        named: how many samples were named.
        changed: how many of them got a new verdict.
    """

    run_id: int
    action: str
    named: int
    changed: int
    notes: tuple[str, ...] = ()


def judge_by_hand(workspace: Workspace, action: str, sample_ids: Sequence[int]) -> VerdictReport:
    """Drop or pin samples as the user says.

    Args:
        action: "drop" or "restore".

    Raises:
        InputError: an id is no real sample; nothing was changed.
    """
    ids = sorted(set(sample_ids))
    with workspace.run(action, dataset=None, settings={"samples": len(ids)}) as run, workspace.catalog.transaction():
        table = pa.table({"sample_id": pa.array(ids, pa.int64())})
        changed, unknown = verdicts.judge(workspace.catalog, run.run_id, table, action)
        if unknown:
            raise InputError(
                f"{unknown} of {len(ids)} ids are no real samples; nothing was changed",
                hint='curate sql "SELECT sample_id, text FROM curated LIMIT 5"',
            )
        run.commit_counts({"changed": changed})
    return VerdictReport(run.run_id, action, len(ids), changed)
