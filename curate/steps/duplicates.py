"""`duplicates`: the groups that dedupe found, side by side, and why a sample was dropped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate import plugins
from curate.catalog import datasets, evidence, runs, samples
from curate.catalog.samples import Sample
from curate.deduplication.references import listed, protected_sets
from curate.errors import InputError
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


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Report):
    """Why a sample is kept or dropped.

    Attributes:
        action, reason: the verdict that counts; None where there is none.
        keeper: the sample that stands for it; None where nothing ties it, and then the rest is None too.
        measure: what `similarity` is, for people.
        protected: the eval sets, of those that the last dedupe protected, that hold the keeper or an equal of it.
    """

    sample: Sample
    action: str | None
    reason: str | None
    keeper: Sample | None
    measure: str | None
    similarity: float | None
    threshold: float | None
    protected: tuple[str, ...] = ()


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


def explain(workspace: Workspace, sample_id: int) -> Explanation:
    """Say why a real sample is kept or dropped.

    Raises:
        InputError: there is no such real sample.
    """
    why = evidence.evidence(workspace.catalog, sample_id)
    if why is None:
        raise InputError(
            f"no real sample has the id {sample_id}", hint='curate sql "SELECT sample_id, text FROM curated LIMIT 5"'
        )
    wanted = [sample_id] if why.keeper_id is None else [sample_id, why.keeper_id]
    found = samples.by_ids(workspace.catalog, pa.table({"sample_id": pa.array(wanted, pa.int64())}))
    measure = None
    if why.method is not None:
        settings = {k: v for k, v in json.loads(why.settings or "{}").items() if k != "slug"}
        measure = plugins.load("dedupers", why.method)(**settings).measure
    keeper = found[why.keeper_id] if why.keeper_id is not None else None
    protected: tuple[str, ...] = ()
    if keeper is not None and (last := runs.latest_done(workspace.catalog, "dedupe", found[sample_id].dataset)):
        protected = protected_sets(workspace.catalog, listed(last[1].get("protect")), keeper.sample_id)
    return Explanation(found[sample_id], why.action, why.reason, keeper, measure, why.similarity, why.threshold, protected)


def _tiles(workspace: Workspace, group: Group) -> list[Tile]:
    def tile(sample: Sample, caption: str) -> Tile:
        assert sample.blob is not None
        return Tile(workspace.real.read(sample.blob), caption)

    more = group.dropped - len(group.members)
    tiles = [tile(group.keeper, f"kept {group.keeper.sample_id}" + (f" (+{more} more)" if more else ""))]
    return tiles + [tile(m.sample, f"{m.sample.sample_id}  {m.method} {m.similarity:.3f}") for m in group.members]
