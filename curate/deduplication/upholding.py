"""Keeping standing protections after something changed; nothing heavy is loaded where none stands."""

from __future__ import annotations

from collections.abc import Iterable

from curate.catalog import datasets, protections
from curate.catalog.datasets import Dataset
from curate.workspace import Workspace


def uphold(workspace: Workspace, dataset: Dataset) -> tuple[str, ...]:
    """Hold every rule again about whose two sides something changed, and write what follows, in runs of their own.

    A step calls it for a dataset before it uses what is kept there, or after it changed what is there or what is kept.

    Returns:
        What changed, a sentence a dataset.
    """
    if workspace.read_only or not protections.standing(workspace.catalog, about=dataset.dataset_id):
        return ()
    from curate.deduplication.protection import hold_again

    return hold_again(workspace, dataset)


def uphold_samples(workspace: Workspace, sample_ids: Iterable[int], *, kept: bool) -> tuple[str, ...]:
    """The same for the datasets of some real samples, about which a user decided.

    Args:
        kept: whether they were pinned: then those that repeat a protected sample are told.
    """
    if not protections.standing(workspace.catalog):
        return ()
    import pyarrow as pa

    from curate.deduplication.protection import notes_on_pins

    table = pa.table({"sample_id": pa.array(sorted(set(sample_ids)), pa.int64())})
    notes = [note for name in datasets.of_samples(workspace.catalog, table) for note in uphold(workspace, name)]
    return (*notes, *(notes_on_pins(workspace.catalog, table) if kept else ()))
