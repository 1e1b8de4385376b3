"""Which dedupe methods a command means, with which thresholds and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate import plugins
from curate.catalog import samples, vectors
from curate.catalog.datasets import Dataset
from curate.dedupers import Deduper
from curate.embedding.specs import canonical_spec, default_spec, loaded, parse_spec
from curate.errors import InputError, SettingError
from curate.modalities import load_modality
from curate.records import takes
from curate.workspace import Workspace

LEVELS = ("copies", "edits", "meaning")
"""Equal bytes; the same words, edited; other words that say the same. What a method may drop at a level its guards say."""

DEFAULT_LEVEL = "edits"
"""By cosine alone 15 % of banking77 go, nearly all of it questions in other words, which a model is to learn from."""

EDITS_SLACK = 0.05
"""So far under an embedder's threshold `semantic` looks for edits: there the wording decides, and the cosine only proposes."""


@dataclass(frozen=True, slots=True)
class Method:
    """A deduper with its settings, and the embedder whose vectors it compares, if any."""

    name: str
    deduper: Deduper
    embedder: str | None = None
    slug: str | None = None

    @property
    def recorded(self) -> dict[str, Any]:
        """What the evidence must say so that its similarity can be measured again."""
        return {**self.deduper.settings, **({"slug": self.slug} if self.slug else {})}

    @property
    def exact_up_to(self) -> int | None:
        """Beyond so many rows what the method says of a row depends on those after it too; None where it never does."""
        limit = self.deduper.settings.get("exact_up_to")
        return None if limit is None else int(limit)


def choose_methods(
    workspace: Workspace,
    names: Sequence[str],
    modality: str,
    *,
    threshold: float | Mapping[str, float] | None,
    settings: Mapping[str, Any],
    embedder: str | None,
    level: str | None = None,
) -> list[Method]:
    """Make the methods that apply to a modality, cheapest first.

    Args:
        names: those that were asked for; those of the level where there are none.
        level: one of `LEVELS`; by default `DEFAULT_LEVEL` where no method is named, and "meaning" where some are.
        threshold: one for all near-duplicate methods, or by method name.
        settings: each goes to the methods that know it.

    Raises:
        SettingError: a name, threshold or setting is not allowed.
    """
    if level is not None and level not in LEVELS:
        raise SettingError(f"there is no level {level!r}", hint="one of: " + ", ".join(LEVELS))
    if names and level == "copies":
        raise SettingError("level copies is one method, exact, and takes no others", hint="leave --method out")
    classes = {name: plugins.load("dedupers", name) for name in (names or load_modality(modality).dedupe_methods)}
    if level == "copies":
        classes = {name: kind for name, kind in classes.items() if kind.consumes == "hash"}
    guards = level or ("meaning" if names else DEFAULT_LEVEL)
    by_level = level is not None or not names  # who names minhash alone asks for its measure and nothing else
    order = {"hash": 0, "text": 1, "vectors": 2}
    chosen = sorted((n for n, c in classes.items() if takes(c.modalities, modality)), key=lambda n: order[classes[n].consumes])
    return [
        _make(workspace, n, classes[n], modality, _threshold_of(n, classes[n], threshold), settings, embedder, guards, by_level)
        for n in chosen
    ]


def check_all_used(
    plan: Mapping[str, Sequence[Method]],
    names: Sequence[str],
    threshold: float | Mapping[str, float] | None,
    settings: Mapping[str, Any],
) -> None:
    """Refuse what no chosen method would obey, rather than ignore it.

    Raises:
        SettingError: a method fits no sample, or a threshold or setting belongs to no chosen method.
    """
    used = {method.name for chosen in plan.values() for method in chosen}
    for name in names:
        if name not in used:
            fits = ", ".join(sorted(plugins.load("dedupers", name).modalities))
            raise SettingError(f"--method {name} is for {fits} samples, and the dataset has none", hint="leave --method out")
    for name in threshold if isinstance(threshold, Mapping) else ():
        if name not in used:
            raise SettingError(
                f"a threshold is given for {name!r}, which is not among the methods", hint="one of: " + ", ".join(sorted(used))
            )
    known = {key for chosen in plan.values() for method in chosen for key in method.deduper.settings}
    for key in settings:
        if key not in known:
            raise SettingError(
                f"no chosen method has a setting {key!r}", hint="one of: " + ", ".join(sorted(known - {"threshold"}))
            )


def _threshold_of(name: str, kind: type[Deduper], threshold: float | Mapping[str, float] | None) -> float | None:
    if isinstance(threshold, Mapping):
        return threshold.get(name)
    return None if kind.consumes == "hash" else threshold


def _make(
    workspace: Workspace,
    name: str,
    kind: Any,
    modality: str,
    threshold: float | None,
    settings: Mapping[str, Any],
    embedder: str | None,
    guards: str,
    by_level: bool,
) -> Method:
    spec = slug = None
    if kind.consumes == "vectors":
        spec = canonical_spec(kind.embedder or embedder or default_spec(workspace, modality))
        known = next((row for row in vectors.embedders(workspace.catalog) if row.spec == spec), None)
        if known is not None:
            slug, default = known.slug, known.threshold
        else:
            with loaded(workspace, spec) as model:
                slug, default = model.slug, model.default_threshold
        if threshold is None and kind.embedder is None:
            if default is None:
                raise SettingError(
                    f"nobody has measured at which cosine two vectors of {spec!r} are near-duplicates",
                    hint=f"give one: --threshold {name}=0.95",
                )
            threshold = round(default - EDITS_SLACK, 4) if modality == "text" and guards == "edits" else default
    probe = kind(threshold=threshold)
    if modality == "text" and "guards" in probe.settings:
        settings = {
            "guards": guards if spec or by_level else "none",
            **({"scripts": _scripts(spec)} if spec else {}),
            **settings,
        }
    mine = {key: value for key, value in settings.items() if key in probe.settings and key != "threshold"}
    return Method(name, kind(threshold=threshold, **mine) if mine else probe, spec, slug)


def plan_methods(
    workspace: Workspace,
    dataset: Dataset,
    methods: Sequence[str],
    threshold: float | Mapping[str, float] | None,
    settings: Mapping[str, Any],
    embedder: str | None,
    level: str | None = None,
) -> dict[str, list[Method]]:
    """Choose the methods for each modality of a dataset.

    Raises:
        InputError: it has no samples.
        SettingError: a method, threshold or setting is not allowed, or none would obey it.
    """
    modalities = samples.modalities(workspace.catalog, dataset.dataset_id)
    if not modalities:
        raise InputError(f"{dataset.name} has no samples", hint=f"curate ingest PATH --dataset {dataset.name}")
    plan = {
        modality: choose_methods(
            workspace, methods, modality, threshold=threshold, settings=settings, embedder=embedder, level=level
        )
        for modality in modalities
    }
    check_all_used(plan, methods, threshold, settings)
    return plan


def _scripts(spec: str) -> str:
    """The scripts that the texts of an embedder may be in: "latin" or "any"."""
    return str(getattr(plugins.load("embedders", parse_spec(spec)[0]), "scripts", "any"))
