"""`take_back`: takes back what one rule dropped in a dataset, and leaves what others decided."""

from __future__ import annotations

from dataclasses import dataclass

from curate.catalog import datasets, verdicts
from curate.deduplication.upholding import uphold
from curate.errors import SettingError
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class TakeBackReport(Report):
    """What came back.

    Attributes:
        owner: whose drops were taken back.
        changed: samples that it drops no more.
        restored: how many of them are kept now; the others are dropped by another owner, or the user decided about them.
        others: who drops samples of the dataset still, and how many.
    """

    run_id: int
    dataset: str
    owner: str
    changed: int
    restored: int
    others: dict[str, int]
    notes: tuple[str, ...] = ()


def take_back(workspace: Workspace, dataset: str, *, owner: str = verdicts.DEDUPE) -> TakeBackReport:
    """Take back every drop by one owner in a dataset; a later run of its rule decides anew.

    Args:
        owner: "dedupe", or "filter:length".

    Raises:
        InputError: no such dataset.
        SettingError: the owner is the user, a standing protection, or one that drops nothing there.
    """
    found = datasets.find(workspace.catalog, dataset)
    if owner == verdicts.USER:
        raise SettingError("what a user dropped comes back sample by sample", hint="curate restore ID...")
    if owner == verdicts.PROTECT:
        raise SettingError("a protection stands until it is removed", hint=f"curate protect {dataset} --list")
    known = verdicts.owners(workspace.catalog, found.dataset_id)
    if owner not in known and owner != verdicts.DEDUPE:
        raise SettingError(
            f"nothing in {dataset} is dropped by {owner!r}", hint="one of: " + (", ".join(known) or "nobody drops anything")
        )
    with workspace.run("take_back", dataset=dataset, settings={"owner": owner}) as run, workspace.catalog.transaction():
        changed, restored = verdicts.take_back(workspace.catalog, run.run_id, found.dataset_id, owner)
        run.commit_counts({"changed": changed, "restored": restored})
    others = {name: count for name, count in verdicts.owners(workspace.catalog, found.dataset_id).items() if name != owner}
    return TakeBackReport(run.run_id, dataset, owner, changed, restored, others, uphold(workspace, found))
