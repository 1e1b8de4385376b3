"""`open_dataset`: reads samples in place, for a program that trains or looks."""

from __future__ import annotations

from curate.catalog import splits
from curate.exporting.opened import OpenDataset
from curate.workspace import Workspace


def open_dataset(workspace: Workspace, spec: str) -> OpenDataset:
    """Open a dataset (its curated samples now), a split, or a part of one (its frozen members).

        for batch in open_dataset(workspace, "support/train").to_arrow():
            ...
        loader = torch.utils.data.DataLoader(open_dataset(workspace, "clothes/train").to_torch(), batch_size=32)

    Args:
        spec: "support", "support@default:1", "support/train"; `curate.catalog.splits` states the grammar.

    Raises:
        InputError: what is named is not there, or is empty.
    """
    return OpenDataset(workspace, splits.resolve(workspace.catalog, spec))
