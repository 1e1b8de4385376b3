"""A training before it begins: the generator, its material, and what the two are known by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate import plugins
from curate.catalog import models, splits
from curate.catalog.models import ModelRow
from curate.catalog.splits import Split
from curate.errors import SettingError
from curate.generators import Generator
from curate.synthesis.material import Material, gather
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller wants to be trained; the names are those of `train`'s arguments."""

    family: str
    spec: str
    preset: str | None
    changes: Mapping[str, Any]
    max_share: float | None
    max_depth: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A training that may begin.

    Attributes:
        recorded: what its run records as settings.
        identity: SHA-256 of family, settings, split and material: the same training has the same.
    """

    family: str
    preset: str
    generator: Generator
    split: Split
    material: Material
    recorded: dict[str, Any]
    identity: str


def plan_training(workspace: Workspace, asked: Asked) -> Plan:
    """Resolve what was asked.

    Raises:
        SettingError: a setting is not allowed, or the spec names another part than train.
        InputError: the split or its samples are missing.
    """
    what = splits.resolve(workspace.catalog, asked.spec)
    if what.split is None or what.part != "train":
        raise SettingError(
            f"a generator learns from a train part, and {asked.spec!r} is none", hint=f"{what.dataset.name}/train"
        )
    kind = plugins.load("generators", asked.family)
    chosen = asked.preset or next(iter(kind.presets))
    if chosen not in kind.presets:
        raise SettingError(f"{asked.family} has no preset {chosen!r}", hint="one of: " + ", ".join(kind.presets))
    generator: Generator = kind(kind.presets[chosen].settings.changed(asked.changes))
    share, depth = asked.max_share, asked.max_depth
    material = gather(workspace, what.split, kind.modality, kind.roles, max_share=share, max_depth=depth)
    settings = generator.settings
    recorded = {
        "family": asked.family,
        "spec": asked.spec,
        "preset": chosen,
        "settings": settings.stored(),
        "synthetic": material.synthetic,
    }
    identity = _digest([asked.family, settings.in_first_words(), what.split.members_hash, _digest(material.contents)])
    return Plan(asked.family, chosen, generator, what.split, material, recorded, identity)


def model_of(workspace: Workspace, plan: Plan, base: str | None, name: str | None, run_id: int) -> ModelRow:
    """The model of this very recipe and data, begun or finished before, or a new one.

    Raises:
        SettingError: the name is taken by another training, or this training has another name.
    """
    catalog = workspace.catalog
    with catalog.transaction():
        known = models.with_identity(catalog, plan.identity)
        if known is not None and name not in (None, known.name):
            raise SettingError(
                f"this very training is the model {known.name!r}",
                hint=f"leave --name out, or change a setting, such as --set seed={run_id}",
            )
        if known is not None:
            return known
        if name is not None and any(m.name == name for m in models.every(catalog)):
            raise SettingError(f"a model is called {name!r} already, and it was trained otherwise", hint="another --name")
        chosen = name or models.fresh_name(catalog, f"{plan.split.dataset}-{plan.family.rpartition('-')[2]}")
        parent = _parent(workspace, base)
        model_id = models.create(
            catalog, name=chosen, family=plan.family, objective=plan.generator.objective, split=plan.split,
            parent_id=parent.model_id if parent else None, base_model=None if parent else base,
            settings={**plan.recorded, "identity": plan.identity}, folder=chosen,
            depth=max(plan.material.depth, parent.depth if parent else 0), run_id=run_id,
        )  # fmt: skip
        return models.by_id(catalog, model_id)


def _parent(workspace: Workspace, base: str | None) -> ModelRow | None:
    """The workspace's own finished model whose folder a base model's path names, or None."""
    folder = Path(base).resolve() if base else None
    own = (workspace.root / "models").resolve()
    known = [m for m in models.every(workspace.catalog) if m.checkpoint_hash is not None]
    return next((m for m in known if own / m.folder == folder), None)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
