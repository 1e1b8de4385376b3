"""`restore` and `drop`: verdicts in the user's own name, and taking dedupe's back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from curate.catalog import datasets, verdicts
from curate.errors import InputError, SettingError
from curate.retrieval.querying import CONDITION_TIMEOUT_S, matching
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class VerdictReport:
    """What changed: how many samples were named, and how many got a new verdict."""

    run_id: int
    action: str
    named: int
    changed: int


def restore(workspace: Workspace, sample_ids: Sequence[int]) -> VerdictReport:
    """Keep samples whatever they resemble: they are pinned, and no later dedupe drops them.

    Raises:
        InputError: an id is no real sample; nothing was changed.
    """
    return _judge(workspace, "restore", sample_ids)


def drop(
    workspace: Workspace,
    sample_ids: Sequence[int] = (),
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
    if bool(sample_ids) == bool(where):
        raise SettingError(
            "drop takes sample ids or a condition", hint="curate drop 17 18, or curate drop --where \"label = 'spam'\""
        )
    if where:
        sample_ids = matching(workspace, where, real_only=True, timeout_s=timeout_s).tolist()
    return _judge(workspace, "drop", sample_ids)


def take_back(workspace: Workspace, dataset: str) -> VerdictReport:
    """Restore everything that dedupe dropped in a dataset; a later dedupe decides anew."""
    home = datasets.find(workspace.catalog, dataset)
    with workspace.run("restore", dataset=dataset, settings={"dedupe": True}) as run, workspace.catalog.transaction():
        changed = verdicts.take_back(workspace.catalog, run.run_id, home.dataset_id)
        run.commit_counts({"restored": changed})
    return VerdictReport(run.run_id, "restore", changed, changed)


def _judge(workspace: Workspace, action: str, sample_ids: Sequence[int]) -> VerdictReport:
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
