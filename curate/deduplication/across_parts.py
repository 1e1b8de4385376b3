"""Near-duplicates on two sides of a split: pairs of samples in different parts that a dedupe would call one.

The members of a part are compared with those of the more held-out parts alone, not with each other.
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
from curate.deduplication.apart import judge_apart
from curate.deduplication.contents import Contents, distinct_contents, undecided
from curate.deduplication.methods import Method, choose_methods
from curate.modalities import load_modality
from curate.workspace import Workspace


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
        # To keep too many on one side costs little; but records of one form with other numbers would all be one group.
        asked["guards"] = "read,numbers"
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
    """Find for each member one in a more held-out part that is a near-duplicate by any method.

    Args:
        members: sample_id and part.

    Returns:
        The pairs as `rounds.Judgement.drops`, the keeper in the more held-out part, or None where there is none; and what the
        methods said.
    """
    of = {part: as_array(members.filter(pc.equal(members["part"], part))["sample_id"]) for part in PARTS}
    found: list[pa.Table] = []
    notes: dict[str, None] = {}
    for modality, methods in comparison.methods.items():
        rows = undecided(verdicts.rows_to_judge(workspace.catalog, dataset.dataset_id, modality, lengths=False))
        for place, part in enumerate(PARTS[:-1]):
            own, other = _only(rows, of[part]), _only(rows, np.concatenate([of[held] for held in PARTS[place + 1 :]]))
            if own.num_rows and other.num_rows:
                judged = judge_apart(workspace, _by_content(distinct_contents(own, other, "first")), methods)
                found.append(judged.drops)
                notes.update(dict.fromkeys(judged.notes))
    pairs = pa.concat_tables(found) if any(table.num_rows for table in found) else None
    return pairs, tuple(notes)


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
