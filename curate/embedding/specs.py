"""Loads embedders by what a person types: `minilm`, `clip:openai/clip-vit-base-patch32`, `./my-model`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from curate import plugins
from curate.catalog.vectors import EmbedderRow
from curate.embedders import Embedder, EmbedderOptions
from curate.errors import SettingError
from curate.modalities import load_modality
from curate.workspace import Workspace

FALLBACK = "sentence-transformers"
"""The plug-in that is asked for a model which no plug-in's name comes before."""


def parse_spec(spec: str) -> tuple[str, str | None]:
    """Split what follows `--embedder` into a plug-in's name and a model.

    A word that is no plug-in's name is taken for a sentence-transformers model, unless it looks like a slip of the
    pen for one; a folder that exists becomes an absolute path, so that the same words mean the same from every folder.

    Raises:
        SettingError: it is empty, or nearly the name of a plug-in.
    """
    known = plugins.names("embedders")
    name, colon, model = spec.strip().partition(":")
    if name in known:
        return name, _located(model) if colon and model else None
    whole = spec.strip()
    near = difflib.get_close_matches(whole.lower(), known, n=1, cutoff=0.8)
    if not whole or (near and not Path(whole).exists()):
        hint = f"--embedder {near[0]}" if near else "one of: " + ", ".join(known)
        raise SettingError(f"no embedder is called {spec!r}", hint=hint)
    return FALLBACK, _located(whole)


def canonical_spec(spec: str) -> str:
    """The one way to write a spec, kept in the catalog."""
    name, model = parse_spec(spec)
    return f"{name}:{model}" if model else name


def default_spec(workspace: Workspace, name: str) -> str:
    """The embedder of a modality where none is named: what `curate.toml` says, else the modality's own."""
    return canonical_spec(workspace.settings.embedders.get(name) or load_modality(name).embedder)


def load_embedder(workspace: Workspace, spec: str) -> Embedder:
    """Load an embedder for a workspace; close it after use.

    Args:
        spec: `name` or `name:model`.

    Raises:
        SettingError: no such plug-in.
        InputError: the model cannot be found or read.
        MissingExtra: an optional package is needed.
    """
    name, model = parse_spec(spec)
    plugin = plugins.load("embedders", name)
    options = EmbedderOptions(model=model, folder=workspace.root / "indexes" / "embedders" / name, threads=workspace.threads)
    return cast(Embedder, plugin(options))


@contextmanager
def loaded(workspace: Workspace, embedder: str | Embedder) -> Iterator[Embedder]:
    """Load an embedder for a block and close it after; one that is loaded already is passed on and left open."""
    if not isinstance(embedder, str):
        yield embedder
        return
    found = load_embedder(workspace, embedder)
    try:
        yield found
    finally:
        found.close()


def spec_modalities(spec: str) -> frozenset[str]:
    """What an embedder can be shown, without loading its weights."""
    return frozenset(plugins.load("embedders", parse_spec(spec)[0]).modalities)


def is_superseded(row: EmbedderRow) -> bool:
    """Whether vectors are of an earlier version of an embedder that comes with `curate`: sound, but not like new ones."""
    name = row.spec.partition(":")[0]
    if name not in plugins.own("embedders"):
        return False
    return row.fingerprint in getattr(plugins.load("embedders", name), "superseded", frozenset())


def _located(model: str) -> str:
    path = Path(model).expanduser()
    return str(path.absolute()) if path.exists() else model
