"""`revert`: takes back what an `ingest --update` changed."""

from __future__ import annotations

from dataclasses import dataclass

from curate.catalog import changes, runs
from curate.catalog.changes import FieldChange
from curate.errors import InputError
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class RevertReport(Report):
    """What was taken back.

    Attributes:
        reverted: the run whose changes were taken back.
        values: labels, ids and metadata that are again what they were before it.
        left: values that something changed since, which stay.
        changes: what this run changed, field by field.
    """

    run_id: int
    reverted: int
    dataset: str | None
    values: int
    left: int
    changes: tuple[FieldChange, ...]


def revert(workspace: Workspace, run: int) -> RevertReport:
    """Give samples the labels, ids and metadata back that a run with `update` changed.

    The values that it made are kept in the table `changes`, so that this can be taken back in turn.

    Args:
        run: its id, which the ingest told.

    Raises:
        InputError: there is no such run, or it changed nothing.
    """
    known = runs.dataset_of(workspace.catalog, run)
    if known is None or not changes.made_by(workspace.catalog, run):
        raise InputError(
            f"run {run} changed no label, id or metadata" if known else f"there is no run {run}",
            hint='curate sql "SELECT run_id, field, count(*) FROM changes GROUP BY ALL ORDER BY ALL"',
        )
    dataset = known[0]
    with workspace.run("revert", dataset=dataset, settings={"run": run}) as mine, workspace.catalog.transaction():
        values, left = changes.take_back(workspace.catalog, run, mine.run_id)
        mine.commit_counts({"values": values, "left": left})
    return RevertReport(mine.run_id, run, dataset, values, left, changes.made_by(workspace.catalog, mine.run_id))
