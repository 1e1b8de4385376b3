"""Who is kept and who is dropped: several methods over the distinct contents of a dataset.

One pass of each method over what the methods before it kept is not enough: a content dropped in favour of one that a
later method drops would be tied to nothing that is kept. Such contents are judged again, against those that are kept,
until none is left; each round settles at least one, and most corpora need two rounds. In the end no two kept contents are
similar by any method, and every dropped one is tied directly to a kept one. One that is judged again may fall to a kept
content that comes after it in the order of priority, because what is kept stays kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from curate.catalog import vectors
from curate.dedupers import MarkOptions
from curate.steps._contents import Contents, ContentTexts
from curate.steps._methods import Method
from curate.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Judgement:
    """The dropped rows of one modality.

    Attributes:
        drops: sample_id, keeper_id, reason, method, similarity, threshold, settings: what `verdicts.decide` takes.
        own: how many of the dataset's samples were judged.
        banned: how many of them a user had dropped.
        compared: pairs verified.
        notes: what the methods said.
    """

    drops: pa.Table
    own: int
    banned: int
    compared: int
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Ties:
    """Contents that are dropped, by content number."""

    keeper: NDArray[np.int64]  # (u,) content that stands for it, or -1
    similarity: NDArray[np.float64]
    method: NDArray[np.int64]  # (u,) position among the methods


def judge_contents(workspace: Workspace, contents: Contents, methods: Sequence[Method], modality: str) -> Judgement:
    """Drop every sample that repeats a kept one.

    Equal contents are one and need no comparing. A copy is dropped by "exact" where that is among the methods, else by the
    first method, whose measure of equal contents is 1; where its content is dropped as a whole, its evidence is the
    near-duplicate tie of that content, because a tie is always to a kept sample.
    """
    near = [method for method in methods if method.deduper.consumes != "hash"]
    ties, compared, notes = _tie_near(workspace, contents, near)
    return _as_judgement(contents, methods, near, ties, compared, notes)


def _tie_near(workspace: Workspace, contents: Contents, near: Sequence[Method]) -> tuple[_Ties, int, tuple[str, ...]]:
    count = len(contents.first_row)
    ties = _Ties(np.full(count, -1, np.int64), np.ones(count), np.zeros(count, np.int64))
    if not near:
        return ties, 0, ()
    rank = contents.rank[contents.keepers()]
    settled = contents.settled()
    kept = np.flatnonzero(settled)
    kept = kept[np.argsort(rank[kept], kind="stable")]
    undecided = np.flatnonzero(~settled)
    undecided = undecided[np.argsort(rank[undecided], kind="stable")]
    compared, notes = 0, dict[str, None]()
    with _Materials(workspace, contents) as materials:
        while len(undecided):
            candidates = undecided
            for number, method in enumerate(near):
                marks = materials.mark(method, np.r_[kept, candidates], len(kept))
                compared += marks.compared
                notes.update(dict.fromkeys(f"{method.name}: {note}" for note in marks.notes))
                hit = candidates[marks.stands_for[candidates] >= 0]
                ties.keeper[hit] = marks.stands_for[hit]
                ties.similarity[hit] = marks.similarity[hit]
                ties.method[hit] = number
                candidates = candidates[marks.stands_for[candidates] < 0]
            ties.keeper[candidates] = -1
            kept = np.r_[kept, candidates]
            is_kept = np.zeros(count, dtype=bool)
            is_kept[kept] = True
            tied = undecided[ties.keeper[undecided] >= 0]
            undecided = tied[~is_kept[ties.keeper[tied]]]
            ties.keeper[undecided] = -1
    return ties, compared, tuple(notes)


class _Materials:
    """What the methods compare, made once: texts, sketches and vectors, a row for each content."""

    def __init__(self, workspace: Workspace, contents: Contents) -> None:
        self._workspace = workspace
        self._contents = contents
        self._texts: ContentTexts | None = None
        self._sketches: dict[str, NDArray[Any]] = {}
        self._options = MarkOptions(
            threads=workspace.threads, memory_bytes=workspace.memory_bytes // 2, folder=workspace.folder("indexes", "spill")
        )

    def __enter__(self) -> _Materials:
        return self

    def __exit__(self, *_: object) -> None:
        if self._texts is not None:
            self._texts.close()

    def mark(self, method: Method, order: NDArray[np.int64], settled: int) -> Any:
        """Run one method over contents by number."""
        texts = self._text_access() if method.deduper.consumes == "text" else None
        return method.deduper.mark(
            self._sketch(method), order, settled=settled, texts=texts, options=self._options, progress=self._workspace.progress
        )

    def _text_access(self) -> ContentTexts:
        if self._texts is None:
            self._texts = ContentTexts(self._workspace, self._contents.representative_ids, self._workspace.memory_bytes // 4)
        return self._texts

    def _sketch(self, method: Method) -> NDArray[Any]:
        if method.name not in self._sketches:
            self._sketches[method.name] = (
                self._sketch_texts(method) if method.deduper.consumes == "text" else self._load_vectors(method)
            )
        return self._sketches[method.name]

    def _sketch_texts(self, method: Method) -> NDArray[Any]:
        texts = self._text_access()
        progress = self._workspace.progress
        progress.start(f"{method.name}: reading", total=len(texts), unit="texts")
        pieces = []
        for chunk in texts.chunks:
            pieces.append(method.deduper.sketch(chunk, threads=self._options.threads))
            progress.advance(len(chunk))
        progress.finish()
        return np.concatenate(pieces)

    def _load_vectors(self, method: Method) -> NDArray[Any]:
        assert method.slug is not None
        ids, matrix = vectors.load(
            self._workspace.catalog,
            method.slug,
            sample_ids=self._contents.representative_ids,
            memory_bytes=self._workspace.memory_bytes // 2,
            spill=self._workspace.folder("indexes", "spill"),
        )
        assert np.array_equal(ids, self._contents.representative_ids)
        return matrix


def _as_judgement(
    contents: Contents, methods: Sequence[Method], near: Sequence[Method], ties: _Ties, compared: int, notes: tuple[str, ...]
) -> Judgement:
    keeper_row = contents.keepers()
    judged = ~contents.foreign & ~contents.pinned & ~contents.banned
    content = contents.content
    dropped_near = judged & (ties.keeper[content] >= 0)
    is_keeper = np.zeros(len(content), dtype=bool)
    is_keeper[keeper_row] = True
    is_copy = judged & ~is_keeper  # another sample of the same content comes before it
    dropped_equal = is_copy & (ties.keeper[content] < 0)
    rows = np.flatnonzero(dropped_near | dropped_equal)
    equal = dropped_equal[rows]
    keeper = np.where(equal, keeper_row[content[rows]], keeper_row[np.maximum(ties.keeper[content[rows]], 0)])
    equal_method = next((m for m in methods if m.deduper.consumes == "hash"), methods[0])
    chosen = [equal_method if e else near[ties.method[c]] for e, c in zip(equal, content[rows], strict=True)]
    recorded = {method.name: json.dumps(method.recorded, sort_keys=True) for method in methods}
    drops = pa.table(
        {
            "sample_id": contents.sample_id[rows],
            "keeper_id": contents.sample_id[keeper],
            "reason": pa.array(
                [equal_method.name if c else m.name for c, m in zip(is_copy[rows], chosen, strict=True)], pa.string()
            ),
            "method": pa.array([m.name for m in chosen], pa.string()),
            "similarity": np.where(equal, 1.0, ties.similarity[content[rows]]),
            "threshold": pa.array([m.deduper.threshold for m in chosen], pa.float64()),
            "settings": pa.array([recorded[m.name] for m in chosen], pa.string()),
        }
    )
    return Judgement(drops, int((~contents.foreign).sum()), int(contents.banned.sum()), compared, notes)
