"""One near-duplicate method at several thresholds, over the same sketches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from curate import plugins
from curate.deduplication.methods import Method, choose_methods
from curate.errors import SettingError
from curate.modalities import load_modality
from curate.records import takes
from curate.workspace import Workspace


def at_threshold(method: Method, threshold: float) -> Method:
    """The method with another threshold and the same sketches: minhash keeps its bands, so it must not be much lower."""
    kind: Any = type(method.deduper)
    return replace(method, deduper=kind(**{**method.deduper.settings, "threshold": threshold}))


def one_method(
    workspace: Workspace,
    name: str | None,
    modalities: Sequence[str],
    *,
    threshold: float | None,
    settings: Mapping[str, Any],
    embedder: str | None,
) -> tuple[Method, str]:
    """The near-duplicate method that is meant, and the modality that it judges.

    Args:
        name: None for the `tuned_method` of the commonest modality.
        modalities: of the dataset, the commonest first.

    Raises:
        SettingError: it has no threshold, or does not fit the dataset, or a setting is not its own.
    """
    name = name or load_modality(modalities[0]).tuned_method
    kind = plugins.load("dedupers", name)
    if kind.consumes == "hash":
        raise SettingError(f"{name} has no threshold: equal is equal", hint="--method minhash, semantic or perceptual")
    fitting = [modality for modality in modalities if takes(kind.modalities, modality)]
    if not fitting:
        raise SettingError(
            f"--method {name} is for {' and '.join(sorted(kind.modalities))} samples, and the dataset has none",
            hint=f"--method {load_modality(modalities[0]).tuned_method}",
        )
    method = choose_methods(
        workspace, [name], fitting[0], threshold=threshold, settings=settings, embedder=embedder
    )[0]  # fmt: skip
    for key in settings:
        if key not in method.deduper.settings:
            raise SettingError(f"{name} has no setting {key!r}", hint="it knows " + ", ".join(method.deduper.settings))
    return method, fitting[0]
