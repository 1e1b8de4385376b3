"""`models`: what was trained, and what became of its draws."""

from __future__ import annotations

from dataclasses import dataclass

from curate.catalog import models as catalog_models
from curate.catalog import splits, synthetic
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class ModelFacts(Report):
    """One model at a glance.

    Attributes:
        trained_on: the parts that it learned from, joined by " + ".
        objective: what its loss asks for; None where that was not recorded.
        parent: the model that its training went on from.
        finished: false where its training was interrupted.
    """

    name: str
    family: str
    trained_on: str
    objective: str | None
    parent: str | None
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
    references = {split.split_id: split.reference for split in splits.every(workspace.catalog)}
    rows = catalog_models.every(workspace.catalog)
    names = {m.model_id: m.name for m in rows}
    return [
        ModelFacts(
            name=m.name,
            family=m.family,
            trained_on=" + ".join(f"{references[source.split_id]}/{source.part}" for source in m.sources),
            objective=m.objective,
            parent=names.get(m.parent_id) if m.parent_id is not None else None,
            base_model=m.base_model,
            finished=m.checkpoint_hash is not None,
            depth=m.depth,
            accepted=drawn.get(m.model_id, (0, 0))[0],
            refused=drawn.get(m.model_id, (0, 0))[1],
            checkpoint_hash=m.checkpoint_hash,
            folder=str(workspace.root / "models" / m.folder),
        )
        for m in rows
    ]
