"""The protections of one dedupe: those that stand for its dataset, those that it was asked for, and what they find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curate.catalog import protections, verdicts
from curate.catalog.datasets import Dataset
from curate.catalog.protections import Protection
from curate.columns import as_array, as_truth
from curate.deduplication.contents import is_set_aside
from curate.deduplication.inputs import embed_missing_vectors
from curate.deduplication.methods import Method
from curate.deduplication.protection import (
    Swept,
    covers,
    embed_for,
    is_pending,
    new_rule,
    stop_if_nearly_all,
    sweep,
    united,
    write,
)
from curate.deduplication.references import Reference
from curate.deduplication.report import count_set_aside
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Shield:
    """What is known of a dataset's protections before its samples are judged.

    Attributes:
        rules: those that stand, then those that were asked for and stand from this run on.
        found: what each rule finds now; None where nothing changed since the verdicts of `protect` were written.
    """

    workspace: Workspace
    dataset: Dataset
    rules: tuple[Protection, ...]
    found: tuple[Swept, ...] | None
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The protected sets, each once."""
        return tuple(dict.fromkeys(rule.reference for rule in self.rules))

    def shelters(self) -> tuple[Reference, ...]:
        """The protected sets that are parts of the dataset itself: their samples all stay."""
        own = [rule for rule in self.rules if rule.reference_id == self.dataset.dataset_id]
        return tuple(
            Reference(rule.reference, "protect", self.dataset, as_array(self._rows(rule)["sample_id"])) for rule in own
        )

    def _rows(self, rule: Protection) -> pa.Table:
        return protections.protected_rows(self.workspace.catalog, rule)

    def aside(self, modality: str) -> NDArray[np.int64]:
        """The ids of the samples that filters and protections drop: they are not judged, and stand for nothing."""
        known = verdicts.set_aside(self.workspace.catalog, self.dataset.dataset_id, modality)
        if self.found is None:
            return as_array(known["sample_id"])
        others = known.filter(pc.not_equal(known["owner"], verdicts.PROTECT))
        return np.union1d(as_array(others["sample_id"]), self._hits(modality))

    def _hits(self, modality: str) -> NDArray[np.int64]:
        table = united(self.found or ()).get(modality)
        return np.empty(0, np.int64) if table is None else as_array(table["sample_id"])

    def count(self, modalities: Iterable[str]) -> dict[str, int]:
        """How many samples other owners than dedupe and the user drop, by owner."""
        catalog = self.workspace.catalog
        if self.found is None:
            return count_set_aside(catalog, self.dataset, modalities)
        counted = Counter[str]()
        for modality in modalities:
            by_user = np.array([number for number, _ in verdicts.by_user(catalog, self.dataset.dataset_id, modality)], np.int64)
            hits = np.setdiff1d(self._hits(modality), by_user)
            known = verdicts.set_aside(catalog, self.dataset.dataset_id, modality)
            others = known.filter(as_truth(~np.isin(as_array(known["sample_id"]), hits)))
            counted.update(owner for owner in others["owner"].to_pylist() if owner != verdicts.PROTECT)
            if len(hits):
                counted[verdicts.PROTECT] += len(hits)
        return dict(counted)

    def matched(self) -> dict[str, int]:
        """How many samples repeat each protected set."""
        if self.found is None:
            known = [(rule.reference, protections.swept(self.workspace.catalog, rule)[1]) for rule in self.rules]
            return {name: max(count for other, count in known if other == name) for name in self.names}
        return {
            name: sum(table.num_rows for table in united(s for s in self.found if s.rule.reference == name).values())
            for name in self.names
        }

    def write(self, run_id: int) -> list[verdicts.Change]:
        """Make the rules stand that were asked for, and write what all of them found; call it inside a transaction."""
        catalog = self.workspace.catalog
        if self.found is None:
            return []
        made = [
            swept if swept.rule.protection_id else swept.of(protections.add(catalog, run_id, swept.rule))
            for swept in self.found
        ]
        return [write(catalog, run_id, self.dataset.dataset_id, made)]

    def would_write(self) -> list[verdicts.Change]:
        """What `write` would change."""
        catalog, number = self.workspace.catalog, self.dataset.dataset_id
        return [
            verdicts.would_decide(catalog, number, modality, drops, owner=verdicts.PROTECT)
            for modality, drops in united(self.found or ()).items()
        ]


def shield_of(
    workspace: Workspace, dataset: Dataset, asked: Sequence[str], methods: Mapping[str, Sequence[Method]], *, yes: bool
) -> Shield:
    """Hold a dataset's protections against what there is, and those that are asked for.

    Args:
        asked: sets, as `curate protect --from` takes them; one that a standing rule covers is not asked for again.
        methods: those of the rules that are asked for.
        yes: go on where one of these would drop nearly everything.

    Raises:
        SettingError, InputError: a set is not there, or is the dataset itself.
        NeedsConfirmation: see `yes`.
    """
    catalog = workspace.catalog
    standing = protections.standing(catalog, of=dataset.dataset_id)
    fresh: list[Protection] = []
    for typed in asked:
        rule = new_rule(catalog, dataset, typed, methods)
        if not any(covers(known, rule) for known in (*standing, *fresh)):
            fresh.append(rule)
    rules = (*standing, *fresh)
    notes = embed_missing_vectors(workspace, dict.fromkeys(r.reference_dataset for r in fresh), methods) if fresh else []
    notes += embed_for(workspace, rules)
    if not fresh and not is_pending(catalog, standing):
        return Shield(workspace, dataset, rules, None, tuple(notes))
    found = tuple(sweep(workspace, rules))
    if not yes:
        stop_if_nearly_all(found[len(standing) :])
    said = [note for swept in found for note in swept.notes]
    return Shield(workspace, dataset, rules, found, tuple(dict.fromkeys([*notes, *said])))


def with_aside(rows: pa.Table, aside: NDArray[np.int64]) -> pa.Table:
    """The rows of a dataset, of which these and no others look as if another owner than dedupe and the user dropped them."""
    by_user = as_array(pc.fill_null(pc.equal(rows["owner"], verdicts.USER), False))
    inside = np.isin(as_array(rows["sample_id"]), aside) & ~by_user
    known = as_array(is_set_aside(rows))
    if (inside == known).all():
        return rows
    for column, value in (("action", "drop"), ("owner", verdicts.PROTECT)):
        words = rows[column].cast(pa.string())
        said = pc.if_else(as_truth(inside & ~known), pa.scalar(value), words)
        said = pc.if_else(as_truth(known & ~inside), pa.scalar(None, pa.string()), said)
        rows = rows.set_column(rows.schema.get_field_index(column), pa.field(column, pa.string()), said)
    return rows
