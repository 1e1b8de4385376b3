"""`explain`: why a sample is kept or dropped."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pyarrow as pa

from curate import plugins
from curate.catalog import datasets, evidence, protections, runs, samples
from curate.catalog.samples import Sample
from curate.deduplication.references import listed, protected_sets
from curate.errors import InputError
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Report):
    """Why a sample is kept or dropped.

    Attributes:
        action, owner, reason: the verdict that counts and whose it is; None where there is none.
        dropped_by: every owner that drops it, joined by commas, also where a user pinned it.
        keeper: the sample that stands for it; None where nothing ties it, and then the rest is None too.
        measure: what `similarity` is, for people.
        protected: the eval sets, of those that the last dedupe protected, that hold the keeper or an equal of it.
    """

    sample: Sample
    action: str | None
    owner: str | None
    dropped_by: str | None
    reason: str | None
    keeper: Sample | None
    measure: str | None
    similarity: float | None
    threshold: float | None
    protected: tuple[str, ...] = ()


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
    if keeper is not None:
        dataset = datasets.find(workspace.catalog, found[sample_id].dataset)
        last = runs.latest_done(workspace.catalog, "dedupe", dataset.name)
        named = [rule.reference for rule in protections.standing(workspace.catalog, of=dataset.dataset_id)]
        sets = tuple(dict.fromkeys([*named, *listed(last[1].get("protect") if last else ())]))
        protected = protected_sets(workspace.catalog, sets, keeper.sample_id)
    return Explanation(
        found[sample_id], why.action, why.owner, why.dropped_by, why.reason, keeper, measure, why.similarity, why.threshold,
        protected,
    )  # fmt: skip
