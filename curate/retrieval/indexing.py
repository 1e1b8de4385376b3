"""The index that a search asks: which one, and that it holds what the catalog holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from curate import plugins
from curate.catalog import searching, vectors
from curate.catalog.datasets import Dataset
from curate.catalog.vectors import EmbedderRow
from curate.errors import WorkError
from curate.indexes import Capabilities, Entries, Index, IndexSettings
from curate.workspace import Workspace

AUTO = "auto"
FLAT_UP_TO = 200_000
"""A full scan of so many vectors of 384 dimensions takes some 20 ms, less than it takes to read them from disk."""
EVERYTHING = "_all"
"""The folder for an index over all datasets; a dataset's name never begins so."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What is searched: the vectors of an embedder, or texts, of one dataset or of all."""

    embedder: EmbedderRow | None
    dataset: Dataset | None

    @property
    def slug(self) -> str | None:
        """The embedder's slug; None for texts."""
        return self.embedder.slug if self.embedder else None

    @property
    def dataset_id(self) -> int | None:
        """The dataset's id; None for all."""
        return self.dataset.dataset_id if self.dataset else None


def named_index(workspace: Workspace, asked: str | None) -> str:
    """The plug-in that was asked for, else the one in `curate.toml`; "auto" where neither names one.

    Raises:
        SettingError: no such plug-in.
    """
    name = asked or workspace.settings.index.name
    if name != AUTO:
        plugins.load("indexes", name)
    return name


def capabilities(name: str) -> Capabilities:
    """What an index can do, by its name."""
    return cast(Capabilities, plugins.load("indexes", "flat" if name == AUTO else name).capabilities)


def current_index(workspace: Workspace, name: str, searched: Searched, notes: list[str]) -> Index:
    """Open the index over what is searched, and bring it up to date with the catalog.

    Args:
        name: of a plug-in, or "auto": exact where a full scan is quick enough, approximate above.
        notes: told what the search goes without.
    """
    extent = searching.extent(workspace.catalog, searched.slug, searched.dataset_id)
    chosen = name if name != AUTO else "flat" if extent.entries <= FLAT_UP_TO else "ivf"
    place = searched.dataset.name if searched.dataset else EVERYTHING
    collection = f"{searched.slug or 'texts'}/{place}/{chosen}"
    location, foreign, options = _location(workspace, chosen)
    dimension = searched.embedder.dimension if searched.embedder else 0
    settings = IndexSettings(collection, dimension=dimension, threads=workspace.threads, options=options)
    index = cast(Index, plugins.load("indexes", chosen).open(location, settings))
    basis = {
        "slug": searched.slug,
        "fingerprint": searched.embedder.fingerprint if searched.embedder else None,
        "dataset": searched.dataset_id,
        "workspace": str(workspace.root) if foreign else None,  # two workspaces may share a store, and number alike
    }
    stamp = json.dumps({"basis": basis, "extent": extent._asdict()}, sort_keys=True)
    if index.stamp != stamp:
        _refill(workspace, index, searched, keeps=_basis(index.stamp) == basis)
        try:
            index.commit(stamp)
        except WorkError as error:
            notes.append(f"{error}; the next search builds it again")
        _sweep_first_edition(workspace.root / "indexes" / (searched.slug or "texts") / place)
    return index


def _location(workspace: Workspace, name: str) -> tuple[Path | str, bool, dict[str, Any]]:
    """Where an index lies, whether that is outside the workspace, and its options; those in the settings are for one name."""
    said = workspace.settings.index
    if name != said.name:
        return workspace.root / "indexes", False, {}
    if said.location is None:
        return workspace.root / "indexes", False, dict(said.options)
    return (said.location if "://" in said.location else workspace.root / said.location), True, dict(said.options)


def _basis(stamp: str | None) -> Any:
    """What the entries of an index were made from; None where it does not say."""
    try:
        return json.loads(stamp or "null")["basis"]
    except (ValueError, TypeError, KeyError):
        return None


def _refill(workspace: Workspace, index: Index, searched: Searched, *, keeps: bool) -> None:
    """Put into the index what the catalog has and it has not, and remove what only it has.

    Args:
        keeps: what it holds was made from the same source, so that equal ids mean equal entries.
    """
    have = index.ids()
    wanted = searching.entry_ids(workspace.catalog, searched.slug, searched.dataset_id)
    gone = np.setdiff1d(have, wanted) if keeps else have
    if len(gone):
        index.remove(gone)
    new = np.setdiff1d(wanted, have) if keeps else wanted
    for entries in _entries(workspace, searched, new):
        index.upsert(entries)


def _entries(workspace: Workspace, searched: Searched, ids: NDArray[np.int64]) -> Iterator[Entries]:
    if not len(ids):
        return
    if searched.slug is None:
        for found, texts in searching.entry_texts(workspace.catalog, ids):
            yield Entries(found, texts=texts)
        return
    found, matrix = vectors.load(
        workspace.catalog,
        searched.slug,
        sample_ids=ids,
        origin="all",
        memory_bytes=workspace.memory_bytes // 2,
        spill=workspace.root / "indexes" / "spill",
    )
    yield Entries(found, vectors=matrix)


def _sweep_first_edition(folder: Path) -> None:
    """Delete snapshots that lay one folder higher in workspaces of before; nothing reads them any more."""
    for old in (*folder.glob("*.index"), folder / "manifest.json"):
        with suppress(OSError):
            old.unlink(missing_ok=True)


def nearest(
    index: Index, query: NDArray[np.float32] | str, k: int, allowed: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k best hits of one question among the allowed ids, whether or not the index can keep to them itself.

    Args:
        query: (dimension,) a vector, or a text.
        allowed: ids that may be hits; None for all.

    Returns:
        ids (n,) and scores (n,), n ≤ k, best first.
    """
    questions: Any = [query] if isinstance(query, str) else query[None, :]

    def ask(wide: int, filter: NDArray[np.int64] | None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        ids, scores = index.search(questions, wide, filter=filter)
        return ids[0][ids[0] >= 0], scores[0][ids[0] >= 0]

    if allowed is None or index.capabilities.filters:
        return ask(k, allowed)
    return _read_down(ask, k, allowed, index.count())


def _read_down(
    ask: Callable[[int, NDArray[np.int64] | None], tuple[NDArray[np.int64], NDArray[np.float32]]],
    k: int,
    allowed: NDArray[np.int64],
    total: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Ask for more and more hits until k of them are allowed, or there are no more."""
    wide = k
    while True:
        ids, scores = ask(wide, None)
        may = np.isin(ids, allowed)
        if may.sum() >= k or wide >= total or len(ids) < wide:
            return ids[may][:k], scores[may][:k]
        wide = min(4 * wide, total)
