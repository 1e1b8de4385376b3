"""`duplicates`: the groups that dedupe found, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.catalog import datasets, evidence, samples
from curate.catalog.samples import Sample
from curate.modalities import load_modality
from curate.reporting.contact_sheet import Tile, contact_sheet
from curate.reports import Report
from curate.workspace import Workspace, write_atomically


@dataclass(frozen=True, slots=True)
class Member:
    """A dropped sample of a group, and how it is tied to the keeper."""

    sample: Sample
    method: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Group:
    """A kept sample and some of those that it stands for.

    Attributes:
        dropped: how many it stands for in all.
        members: the most similar of them.
    """

    keeper: Sample
    dropped: int
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, repr=False)
class DuplicatesReport(Report):
    """The largest groups of a dataset.

    Attributes:
        groups: how many there are in all.
        sheet: the contact sheet that was written, if the dataset has images.
    """

    dataset: str
    groups: int
    shown: tuple[Group, ...]
    sheet: str | None


def duplicates(
    workspace: Workspace,
    dataset: str,
    *,
    method: str | None = None,
    limit: int = 10,
    members: int = 5,
    sheet: Path | None = None,
) -> DuplicatesReport:
    """Show the largest groups, each kept sample with the most similar ones that it stands for.

    Args:
        method: only ties by this method.
        limit: how many groups.
        members: how many dropped samples of each.
        sheet: where the contact sheet of an image dataset goes; `duplicates-<dataset>.png` in the current folder by default.

    Raises:
        InputError: no such dataset.
    """
    home = datasets.find(workspace.catalog, dataset)
    ties = evidence.groups(workspace.catalog, home.dataset_id, method=method, limit=limit).to_pylist()
    shown: dict[int, list[dict[str, Any]]] = {}
    for tie in ties:
        group = shown.setdefault(tie["keeper_id"], [])
        if len(group) < members:
            group.append(tie)
    ids = [*shown, *(tie["sample_id"] for group in shown.values() for tie in group)]
    found = samples.by_ids(workspace.catalog, pa.table({"sample_id": pa.array(ids, pa.int64())}))
    groups = tuple(
        Group(
            found[keeper],
            group[0]["dropped"],
            tuple(Member(found[t["sample_id"]], t["method"], t["similarity"]) for t in group),
        )
        for keeper, group in shown.items()
    )
    written = None
    pictured = [group for group in groups if load_modality(group.keeper.modality).pictured]
    if pictured:
        path = (sheet or Path(f"duplicates-{dataset}.png")).absolute()
        write_atomically(path, contact_sheet([_tiles(workspace, group) for group in pictured]))
        written = str(path)
    return DuplicatesReport(dataset, evidence.count_groups(workspace.catalog, home.dataset_id), groups, written)


def _tiles(workspace: Workspace, group: Group) -> list[Tile]:
    def tile(sample: Sample, caption: str) -> Tile:
        assert sample.blob is not None
        return Tile(workspace.real.read(sample.blob), caption)

    more = group.dropped - len(group.members)
    tiles = [tile(group.keeper, f"kept {group.keeper.sample_id}" + (f" (+{more} more)" if more else ""))]
    return tiles + [tile(m.sample, f"{m.sample.sample_id}  {m.method} {m.similarity:.3f}") for m in group.members]
