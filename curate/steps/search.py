"""`search`: the samples nearest to a text, an image or another sample."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.catalog import datasets, searching, vectors
from curate.catalog.vectors import Origin
from curate.embedders import Embedder
from curate.errors import SettingError
from curate.reports import Report
from curate.retrieval.hits import Hit, hit_of
from curate.retrieval.indexing import Searched, capabilities, current_index, named_index, nearest
from curate.retrieval.querying import CONDITION_TIMEOUT_S, matching
from curate.retrieval.question import Question, choose_embedder, question_vector
from curate.workspace import Workspace

HIGHEST_K = 10_000


@dataclass(frozen=True, slots=True, repr=False)
class SearchReport(Report):
    """What was found, best first.

    Attributes:
        embedder: whose vectors were compared; None where an index of texts answered.
        index: the index that answered, in words.
        exact: whether these are certainly the nearest ones.
        candidates: how many samples could have been hits.
    """

    hits: tuple[Hit, ...]
    embedder: str | None
    index: str
    exact: bool
    candidates: int
    seconds: float
    notes: tuple[str, ...] = ()


def search(
    workspace: Workspace,
    text: str | None = None,
    *,
    image: str | Path | None = None,
    like: int | None = None,
    dataset: str | None = None,
    where: str | None = None,
    k: int = 10,
    embedder: str | Embedder | None = None,
    index: str | None = None,
    origin: Origin = "all",
    dropped: bool = False,
    timeout_s: float = CONDITION_TIMEOUT_S,
) -> SearchReport:
    """Find the samples nearest to a text, to an image file, or to the sample with the id `like`.

    Args:
        dataset: search in this one; None for all.
        where: a boolean SQL expression over the view `samples`; it runs as `sql` does, in a process that can only read.
        embedder: whose vectors are compared; by default the workspace's for what is looked for, else one that can take it.
        index: the index plug-in that answers; by default the one in `curate.toml`, else one that suits the number of vectors.
        origin: real or synthetic samples, or both.
        dropped: also find samples that were dropped or refused.
        timeout_s: seconds that the condition may take.

    Raises:
        SettingError: not exactly one thing is looked for, the text is blank, or the vectors cannot be compared with it.
        InputError: there are no vectors, or no such dataset, file or sample.
        WorkError: the condition took too long or too much memory, or the index cannot be reached.
    """
    started = time.monotonic()
    question = Question(text, image, like)
    if not 1 <= k <= HIGHEST_K:
        raise SettingError(f"k is 1 to {HIGHEST_K:,}, got {k:,}", hint="-k 10; curate sql has no such limit")
    if origin not in ("real", "synthetic", "all"):
        raise SettingError(f"origin is real, synthetic or all, got {origin!r}", hint="--origin all")
    name = named_index(workspace, index)
    searched = _searched(workspace, name, dataset, question, embedder)
    allowed, candidates = _allowed(workspace, searched, origin, dropped, where, like, timeout_s)
    notes: list[str] = []
    chosen = current_index(workspace, name, searched, notes)
    try:
        query = _query(workspace, searched, question, embedder)
        ids, scores = nearest(chosen, query, min(k, max(candidates, 1)), allowed)
        description = chosen.description
    finally:
        chosen.close()
    return SearchReport(
        hits=_hits(workspace, ids, scores, notes),
        embedder=searched.embedder.spec if searched.embedder else None,
        index=description,
        exact=chosen.capabilities.exact,
        candidates=candidates,
        seconds=round(time.monotonic() - started, 3),
        notes=tuple(notes),
    )


def _searched(
    workspace: Workspace, name: str, dataset: str | None, question: Question, embedder: str | Embedder | None
) -> Searched:
    """The vectors or texts that the index is over."""
    scope = datasets.find(workspace.catalog, dataset) if dataset else None
    if not capabilities(name).text:
        return Searched(choose_embedder(workspace, scope, question, embedder), scope)
    if question.text is None or embedder is not None:
        raise SettingError(f"the index {name} holds words, not vectors", hint='curate search "TEXT", or another --index')
    return Searched(None, scope)


def _query(
    workspace: Workspace, searched: Searched, question: Question, embedder: str | Embedder | None
) -> NDArray[np.float32] | str:
    if searched.embedder is not None:
        return question_vector(workspace, searched.embedder, question, embedder)
    assert question.text is not None
    return question.text


def _allowed(
    workspace: Workspace,
    searched: Searched,
    origin: Origin,
    dropped: bool,
    where: str | None,
    like: int | None,
    timeout_s: float,
) -> tuple[NDArray[np.int64] | None, int]:
    """Ids that may be hits, None for all that are indexed, and how many they are."""
    states = ("kept", "accepted", "dropped", "refused") if dropped else ("kept", "accepted")
    ids = vectors.in_state(workspace.catalog, searched.slug, searched.dataset_id, origin=origin, states=states)
    if where is not None:
        ids = np.intersect1d(ids, matching(workspace, where, timeout_s=timeout_s), assume_unique=True)
    if like is not None:
        ids = ids[ids != like]
    everything = len(ids) == searching.extent(workspace.catalog, searched.slug, searched.dataset_id).entries
    return (None if everything else ids), len(ids)


def _hits(workspace: Workspace, ids: NDArray[np.int64], scores: NDArray[np.float32], notes: list[str]) -> tuple[Hit, ...]:
    """The samples behind the ids; an index is a cache, and what the catalog has not is no hit."""
    shown = vectors.found(workspace.catalog, ids)
    if len(shown) < len(ids):
        notes.append(f"{len(ids) - len(shown)} hits of the index are not in the catalog and were left out")
    pairs = zip(ids.tolist(), scores.tolist(), strict=True)
    return tuple(hit_of(workspace, shown[number], score) for number, score in pairs if number in shown)
