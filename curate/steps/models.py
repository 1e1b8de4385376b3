"""`models`: what was trained, and what became of its draws."""

from __future__ import annotations

from dataclasses import dataclass

from curate.catalog import models as catalog_models
from curate.catalog import splits, synthetic
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class ModelFacts(Report):
    """One model at a glance; `finished` is false where its training was interrupted."""

    name: str
    family: str
    trained_on: str
    base_model: str | None
    finished: bool
    depth: int
    accepted: int
    refused: int
    checkpoint_hash: str | None
    folder: str


def models(workspace: Workspace) -> list[ModelFacts]:
    """Every model of the workspace, oldest first."""
    drawn = synthetic.counts(workspace.catalog)
    parts = {split.split_id: f"{split.reference}/train" for split in splits.every(workspace.catalog)}
    return [
        ModelFacts(
            m.name, m.family, parts[m.split_id], m.base_model, m.checkpoint_hash is not None, m.depth,
            *drawn.get(m.model_id, (0, 0)), m.checkpoint_hash, str(workspace.root / "models" / m.folder),
        )
        for m in catalog_models.every(workspace.catalog)
    ]  # fmt: skip
