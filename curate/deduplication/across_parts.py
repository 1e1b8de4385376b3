"""Near-duplicates on two sides of a split: pairs of samples in different parts that a dedupe would call one.

A deduper points each row at one kept row that stands for it, so one pass over all samples does not tell every pair. Here
the held-out samples lead and are kept whatever they resemble; a sample of another part that falls to one of its own part is
asked again without that one, until it falls to a held-out sample or to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curate.catalog import runs, samples, vectors, verdicts
from curate.catalog.datasets import Dataset
from curate.catalog.splits import PARTS
from curate.columns import as_array, as_truth
from curate.deduplication.contents import Contents, distinct_contents, undecided
from curate.deduplication.methods import Method, choose_methods
from curate.deduplication.rounds import judge_contents
from curate.modalities import load_modality
from curate.workspace import Workspace

MOST_PASSES = 64
"""So often a sample is asked again that fell to one of its own part; the report says how many would need more."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the members of a split are compared.

    Attributes:
        methods: modality → the methods, cheapest first.
        notes: what is not compared, and why.
    """

    methods: Mapping[str, Sequence[Method]]
    notes: tuple[str, ...]

    @property
    def described(self) -> str:
        """The methods with their thresholds: "exact, minhash ≥ 0.8"."""
        chosen = {m.name: m for methods in self.methods.values() for m in methods}
        return ", ".join(n if m.deduper.consumes == "hash" else f"{n} ≥ {m.deduper.threshold:g}" for n, m in chosen.items())


def comparison_of(workspace: Workspace, dataset: Dataset) -> Comparison:
    """The methods that a dataset's members are compared by: each modality's defaults and those of its dedupes.

    The threshold and the settings of a method are those of the last dedupe that used it, else its own. Methods that
    compare vectors take part where every sample has one already.
    """
    used = runs.latest_settings(workspace.catalog, "dedupe", dataset.name, "methods")
    chosen: dict[str, list[Method]] = {}
    notes: list[str] = []
    for modality in samples.modalities(workspace.catalog, dataset.dataset_id):
        known: dict[str, dict[str, object]] = {}
        for settings in used:
            for name, recorded in settings.get(modality, {}).items():
                known.setdefault(name, recorded)
        chosen[modality] = []
        for name in dict.fromkeys([*load_modality(modality).dedupe_methods, *known]):
            method = _method(workspace, name, modality, known.get(name), notes)
            if method and method.slug and len(vectors.missing(workspace.catalog, method.slug, dataset.dataset_id, [modality])):
                notes.append(f"{name} did not look across parts, for want of vectors: curate embed {dataset.name}")
            elif method:
                chosen[modality].append(method)
    return Comparison(chosen, tuple(notes))


def _method(
    workspace: Workspace, name: str, modality: str, recorded: Mapping[str, object] | None, notes: list[str]
) -> Method | None:
    slugs = {row.slug: row.spec for row in vectors.embedders(workspace.catalog)}
    asked = dict(recorded or {})
    slug, threshold = asked.pop("slug", None), asked.pop("threshold", None)
    if name == "semantic" and not slugs:
        notes.append("semantic did not look across parts, for want of vectors")
        return None
    embedder = slugs.get(str(slug)) if slug else None
    if modality == "text" and name == "semantic":
        asked["guards"] = "read"  # to keep too many on one side costs little
    found = choose_methods(
        workspace, [name], modality, threshold={name: float(str(threshold))} if threshold is not None else None,
        settings=asked, embedder=embedder,
    )  # fmt: skip
    if found and found[0].slug and found[0].slug not in slugs:
        notes.append(f"{name} did not look across parts, for want of vectors")
        return None
    return found[0] if found else None


def pairs_across_parts(
    workspace: Workspace, dataset: Dataset, members: pa.Table, comparison: Comparison
) -> tuple[pa.Table | None, tuple[str, ...]]:
    """Find pairs of members in different parts that are near-duplicates by any method.

    Args:
        members: sample_id and part.

    Returns:
        The pairs as `rounds.Judgement.drops`, the keeper in the more held-out part, or None where there is none; and notes on
        what was left out.
    """
    of = {part: as_array(members.filter(pc.equal(members["part"], part))["sample_id"]) for part in PARTS}
    found: list[pa.Table] = []
    cut = 0
    for modality, methods in comparison.methods.items():
        rows = undecided(verdicts.rows_to_judge(workspace.catalog, dataset.dataset_id, modality, lengths=False))
        for place, part in enumerate(PARTS[:-1]):
            standing = np.concatenate([of[other] for other in PARTS[place + 1 :]])
            across, left = _pairs(workspace, rows, of[part], standing, methods, modality)
            found += across
            cut += left
    notes = (
        (f"{cut:,} samples resemble more than {MOST_PASSES} others of their part: some of their pairs may be missed",)
        if cut
        else ()
    )
    pairs_found = pa.concat_tables(found) if found else None
    return (pairs_found if pairs_found is not None and pairs_found.num_rows else None), notes


def _pairs(
    workspace: Workspace,
    rows: pa.Table,
    moving: NDArray[np.int64],
    standing: NDArray[np.int64],
    methods: Sequence[Method],
    modality: str,
) -> tuple[list[pa.Table], int]:
    """Pairs of a moving and a standing sample, and how many moving ones were given up on."""
    other = _only(rows, standing)
    found: list[pa.Table] = []
    waiting = moving if other.num_rows else moving[:0]
    for _ in range(MOST_PASSES):
        own = _only(rows, waiting)
        if not own.num_rows:
            return found, 0
        drops = judge_contents(workspace, _by_content(distinct_contents(own, other, "first")), methods, modality).drops
        across = np.isin(as_array(drops["keeper_id"]), standing)
        found.append(drops.filter(as_truth(across)))
        waiting = as_array(drops["sample_id"])[~across]
    return found, len(waiting)


def _by_content(contents: Contents) -> Contents:
    """The same, with contents in the order of their hashes, so that what is found does not depend on the order of ingest."""
    halves = contents.keys.view(np.uint64)[contents.content]  # (n, 2)
    order = np.lexsort((contents.sample_id, halves[:, 1], halves[:, 0]))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return replace(contents, rank=rank)


def _only(rows: pa.Table, ids: NDArray[np.int64]) -> pa.Table:
    return rows.filter(as_truth(np.isin(as_array(rows["sample_id"]), ids)))


def as_evidence(pairs: pa.Table) -> pa.Table:
    """The columns that the catalog keeps of a pair."""
    return pairs.select(["sample_id", "keeper_id", "method", "similarity", "threshold", "settings"])
