"""Models: trained generators, and what they learned from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.catalog._connection import Catalog
from curate.catalog.splits import Split
from curate.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


class ModelSource(NamedTuple):
    """One part of a frozen split that a model learned from."""

    dataset_id: int
    split_id: int
    part: str


class ModelRow(NamedTuple):
    """A trained generator, or one whose training was interrupted (`checkpoint_hash` is None).

    Attributes:
        objective: what its loss asks for; None where that was not recorded.
        parent_id: the model that its training went on from.
        base_model: a pretrained model from elsewhere that it started from.
        dataset_id, dataset: which its draws belong to.
        sources: what it learned from; the first one is of that dataset.
    """

    model_id: int
    name: str
    family: str
    objective: str | None
    parent_id: int | None
    base_model: str | None
    dataset_id: int
    dataset: str
    settings: dict[str, Any]
    folder: str
    checkpoint_hash: str | None
    depth: int
    run_id: int
    sources: tuple[ModelSource, ...]

    @property
    def split_id(self) -> int:
        """The split of its first source."""
        return self.sources[0].split_id


_SELECT = """SELECT m.model_id, m.name, m.family, m.objective, m.parent_id, m.base_model, m.dataset_id, d.name,
                    m.settings::VARCHAR, m.folder, m.checkpoint_hash, m.depth, m.run_id,
                    (SELECT list((o.dataset_id, o.split_id, o.part)
                                 ORDER BY o.dataset_id <> m.dataset_id, o.dataset_id, o.split_id)
                     FROM model_sources o WHERE o.model_id = m.model_id)
             FROM models m JOIN datasets d USING (dataset_id)"""


def every(catalog: Catalog) -> list[ModelRow]:
    """All models, oldest first."""
    return [_model(row) for row in catalog.rows(f"{_SELECT} ORDER BY m.model_id")]


def find(catalog: Catalog, name: str) -> ModelRow:
    """Look a finished model up by name.

    Raises:
        InputError: there is none, or its training was not finished.
    """
    known = every(catalog)
    for model in known:
        if model.name == name and model.checkpoint_hash is not None:
            return model
        if model.name == name:
            raise InputError(f"the training of {name!r} was interrupted", hint="run its curate train command again; it goes on")
    finished = [m.name for m in known if m.checkpoint_hash is not None]
    raise InputError(
        f"no model is called {name!r}",
        hint="one of: " + ", ".join(finished) if finished else "curate train diffusion DATASET/train",
    )


def by_id(catalog: Catalog, model_id: int) -> ModelRow:
    """The model with this id."""
    return next(model for model in every(catalog) if model.model_id == model_id)


def with_identity(catalog: Catalog, identity: str) -> ModelRow | None:
    """The model that was, or is being, trained by exactly this recipe on exactly these samples."""
    return next((m for m in every(catalog) if m.settings.get("identity") == identity), None)


def fresh_name(catalog: Catalog, stem: str) -> str:
    """The first free name "stem-1", "stem-2", …"""
    taken = {model.name for model in every(catalog)}
    return next(f"{stem}-{n}" for n in range(1, len(taken) + 2) if f"{stem}-{n}" not in taken)


def create(
    catalog: Catalog,
    *,
    name: str,
    family: str,
    objective: str,
    split: Split,
    parent_id: int | None,
    base_model: str | None,
    settings: dict[str, Any],
    folder: str,
    depth: int,
    run_id: int,
) -> int:
    """Record that a model is being trained on the train part of a split; returns its id."""
    model_id = int(
        catalog.scalar(
            """INSERT INTO models (name, family, objective, parent_id, base_model, dataset_id, settings, folder, depth, run_id)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING model_id""",
            [
                name, family, objective, parent_id, base_model, split.dataset_id, json.dumps(settings, sort_keys=True), folder,
                depth, run_id,
            ],
        )
    )  # fmt: skip
    catalog.execute("INSERT INTO model_sources VALUES (?, ?, ?, 'train')", [model_id, split.dataset_id, split.split_id])
    return model_id


def finish(
    catalog: Catalog, model_id: int, checkpoint_hash: str, run_id: int, losses: Sequence[tuple[int, str, float]]
) -> None:
    """Record that a model is trained: the hash of its weights, and its loss curve as (step, name, value)."""
    import pyarrow as pa

    steps, names, values = zip(*losses, strict=True) if losses else ((), (), ())
    curve = pa.table(
        {"step": pa.array(steps, pa.int64()), "name": pa.array(names, pa.string()), "value": pa.array(values, pa.float64())}
    )
    catalog.execute("UPDATE models SET checkpoint_hash = ? WHERE model_id = ?", [checkpoint_hash, model_id])
    catalog.execute("DELETE FROM losses WHERE model_id = ?", [model_id], within=f"model_id = {model_id}")
    with catalog.given(curve=curve):
        catalog.execute("INSERT INTO losses SELECT ?, ?, step, name, value FROM curve", [run_id, model_id])


def members(catalog: Catalog, split: Split, part: str) -> pa.Table:
    """The samples of a part that are still curated, by id.

    Returns:
        sample_id, modality, label, text, blob, content_hash.
    """
    return catalog.table(
        """SELECT s.sample_id, s.modality, s.label, s.text, s.blob, s.content_hash
           FROM split_members m JOIN real_samples s USING (sample_id)
           WHERE m.split_id = ? AND m.part = ?
             AND s.sample_id NOT IN (SELECT sample_id FROM current_verdicts WHERE action = 'drop')
           ORDER BY s.sample_id""",
        [split.split_id, part],
    )


def accepted_of_split(catalog: Catalog, split: Split, max_depth: int) -> pa.Table:
    """Accepted synthetic samples of models that learned from this split, by id; those of a greater depth are left out.

    Returns:
        sample_id, modality, label, text, blob, content_hash, depth.
    """
    return catalog.table(
        """SELECT s.sample_id, s.modality, s.label, s.text, s.blob, s.content_hash, s.depth
           FROM synthetic_samples s
           WHERE s.model_id IN (SELECT model_id FROM model_sources WHERE split_id = ?)
             AND s.status = 'accepted' AND s.depth <= ? ORDER BY s.sample_id""",
        [split.split_id, max_depth],
    )


def stream_losses(catalog: Catalog, model_id: int) -> Iterator[tuple[int, str, float]]:
    """The loss curve of a model."""
    yield from catalog.rows("SELECT step, name, value FROM losses WHERE model_id = ? ORDER BY name, step", [model_id])


def _model(row: tuple[Any, ...]) -> ModelRow:
    values = list(row)
    values[8], values[13] = json.loads(values[8]), tuple(ModelSource(*source) for source in values[13] or ())
    return ModelRow(*values)
