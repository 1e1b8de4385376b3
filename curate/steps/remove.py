"""`remove`: takes a dataset out of the workspace, with everything that hangs on it, after showing what that is."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from curate.catalog import datasets, removal
from curate.catalog.removal import Hanging
from curate.errors import InputError, NeedsConfirmation
from curate.reports import Report
from curate.workspace import BlobStore, Workspace


@dataclass(frozen=True, slots=True, repr=False)
class RemoveReport(Report):
    """What is gone, or would go.

    Attributes:
        run_id: None where nothing was changed.
        rows: table → how many of its rows.
        models: folders of trained models.
        blobs: files of media that no other sample names.
        orphaned: samples of other datasets that a sample of this one stood for; they are kept again.
    """

    run_id: int | None
    dataset: str
    rows: dict[str, int]
    models: tuple[str, ...]
    blobs: int
    orphaned: int
    dry_run: bool


def remove(workspace: Workspace, dataset: str, *, dry_run: bool = False, yes: bool = False) -> RemoveReport:
    """Delete a dataset with its samples, vectors, verdicts, splits, rejects, models and drawn samples.

    The rows go in one transaction, the files after it; a kill between the two leaves files that `check --clean` removes.
    Runs stay as they were recorded. Samples of other datasets that were dropped in favour of one of these are kept again.

    Args:
        dry_run: show what would go, and change nothing.
        yes: go on; without it nothing is changed.

    Raises:
        InputError: no such dataset, or a model of another dataset learned from it.
        NeedsConfirmation: `yes` was not given; the message shows what would go.
    """
    catalog = workspace.catalog
    found = datasets.find(catalog, dataset)
    goes = removal.hanging(catalog, found)
    if goes.others:
        raise InputError(f"{', '.join(goes.others)} learned from {dataset} too", hint="remove the dataset of that model first")
    if dry_run:
        blobs = sum(len(removal.blobs(catalog, synthetic=synthetic)) for synthetic in (False, True))
        return RemoveReport(None, dataset, goes.rows, goes.models, blobs, goes.orphaned, True)
    if not yes:
        raise NeedsConfirmation(f"{dataset} would go for good: {_shown(goes)}", hint=f"curate remove {dataset} --yes")
    with workspace.run("remove", dataset=dataset, settings={}) as run:
        with catalog.transaction():
            goes = removal.hanging(catalog, found)
            real, drawn = (removal.blobs(catalog, synthetic=synthetic) for synthetic in (False, True))
            orphaned = removal.remove(catalog, run.run_id, found)
            run.commit_counts({"rows": goes.rows, "orphaned": orphaned})
        for folder in goes.models:
            shutil.rmtree(workspace.root / "models" / folder, ignore_errors=True)
        blobs = _unlink(workspace.real, removal.unused_blobs(catalog, real, synthetic=False))
        blobs += _unlink(workspace.synthetic, removal.unused_blobs(catalog, drawn, synthetic=True))
    return RemoveReport(run.run_id, dataset, goes.rows, goes.models, blobs, orphaned, False)


def _shown(goes: Hanging) -> str:
    rows = ", ".join(f"{count:,} of {table}" for table, count in goes.rows.items()) or "no rows"
    kept_again = f"; {goes.orphaned:,} samples of other datasets would be kept again" if goes.orphaned else ""
    return rows + kept_again


def _unlink(store: BlobStore, names: list[str]) -> int:
    for name in names:
        store.path(name).unlink(missing_ok=True)
    return len(names)
