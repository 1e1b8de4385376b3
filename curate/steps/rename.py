"""`rename`: gives a dataset another name."""

from __future__ import annotations

from dataclasses import dataclass

from curate.catalog import datasets, removal
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class RenameReport(Report):
    """A dataset has a new name; its samples, splits and models are those that it had."""

    run_id: int
    before: str
    dataset: str


def rename(workspace: Workspace, dataset: str, name: str) -> RenameReport:
    """Give a dataset another name; what hangs on it follows.

    Commands that were recorded earlier still say the old name.

    Raises:
        InputError: no such dataset, or the name is taken.
        SettingError: the name has other characters than letters, digits, dot, hyphen and underscore.
    """
    found = datasets.find(workspace.catalog, dataset)
    with workspace.run("rename", dataset=dataset, settings={"name": name}) as run, workspace.catalog.transaction():
        removal.rename(workspace.catalog, found, name)
        run.commit_counts({})
    return RenameReport(run.run_id, dataset, name)
