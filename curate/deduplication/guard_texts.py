"""What the guards of a method read: the texts of the contents, and what the method's embedder saw of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curate.catalog import readings
from curate.deduplication.content_texts import ContentTexts
from curate.deduplication.contents import Contents
from curate.deduplication.methods import Method
from curate.embedders import Embedder, TextReader
from curate.embedding.specs import load_embedder
from curate.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


class GuardTexts:
    """Texts and readings by content number; see `curate.dedupers.guards.guard.ReadTexts`.

    Readings that the catalog lacks, because the vectors were made by an earlier version or copied, are counted when they are
    asked for. An embedder that cannot tell what it sees is taken to have seen no text whole.
    """

    def __init__(self, workspace: Workspace, contents: Contents, texts: ContentTexts, method: Method) -> None:
        self._workspace = workspace
        self._ids = contents.representative_ids
        self._texts = texts
        self._method = method
        self._known: NDArray[np.int32] | None = None
        self._labels: NDArray[np.int64] | None = None
        self._model: Embedder | None = None

    def take(self, rows: NDArray[np.int64]) -> pa.LargeStringArray:
        """The texts of these contents."""
        return self._texts.take(rows)

    def readings(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """(r, 3) tokens seen, unknown and cut."""
        if self._known is None:
            self._known = readings.load(self._workspace.catalog, self._method.slug or "", self._ids)
        lacking = rows[self._known[rows, 0] < 0]
        if len(lacking):
            self._known[lacking] = self._count(self._texts.take(lacking).to_pylist())
        return self._known[rows]

    def _count(self, texts: list[str]) -> NDArray[np.int32]:
        if self._model is None:
            self._model = load_embedder(self._workspace, self._method.embedder or "")
        if isinstance(self._model, TextReader):
            return self._model.read_texts(texts)
        return np.tile(np.array([0, 0, 1], np.int32), (len(texts), 1))

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(r,) a number for each label, -1 for none."""
        if self._labels is None:
            self._labels = readings.label_numbers(self._workspace.catalog, self._ids)
        return self._labels[rows]

    def close(self) -> None:
        """Give back the model, if one was needed."""
        if self._model is not None:
            self._model.close()
