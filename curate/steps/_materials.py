"""What the dedupe methods compare: texts, sketches and vectors, a row for each content, within a bound of memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.catalog import vectors
from curate.dedupers import MarkOptions, Marks
from curate.steps._contents import Contents, ContentTexts
from curate.steps._methods import Method
from curate.steps._sketches import SketchCache, roomy
from curate.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARES = 8
"""Texts, sketches and vectors may each hold an eighth of the memory, a method's own work an eighth; the catalog has half."""


class Materials:
    """Made when a method first asks for them; a context manager, whose end removes every file.

    Args:
        memory_bytes: what the step may hold, the catalog's share included; what goes beyond lies in mapped files.
    """

    def __init__(self, workspace: Workspace, contents: Contents, memory_bytes: int) -> None:
        self._workspace = workspace
        self._contents = contents
        self._share = memory_bytes // SHARES
        self._folder = workspace.folder("indexes", "spill")
        self._texts = ContentTexts(workspace, contents.representative_ids, self._share)
        self._sketches: dict[str, NDArray[Any]] = {}

    def __enter__(self) -> Materials:
        return self

    def __exit__(self, *_: object) -> None:
        self._texts.close()

    def mark(self, method: Method, order: NDArray[np.int64], settled: int) -> Marks:
        """Run one method over contents by number."""
        options = MarkOptions(threads=self._workspace.threads, memory_bytes=self._share, folder=self._folder)
        texts = self._texts if method.deduper.consumes == "text" else None
        return method.deduper.mark(
            self.sketches(method), order, settled=settled, texts=texts, options=options, progress=self._workspace.progress
        )

    def sketches(self, method: Method) -> NDArray[Any]:
        """(u, width) what the method compares; may be a memory map."""
        if method.name not in self._sketches:
            made = self._sketch_texts(method) if method.deduper.consumes == "text" else self._load_vectors(method)
            self._sketches[method.name] = made
        return self._sketches[method.name]

    def _sketch_texts(self, method: Method) -> NDArray[Any]:
        """Take what was sketched before, and sketch the rest."""
        keys, deduper = self._contents.keys, method.deduper
        writable = not self._workspace.read_only
        cache = SketchCache(self._workspace.folder("indexes", "sketches"), method.name, deduper.settings, writable=writable)
        places = cache.find(keys)
        lacking = np.flatnonzero(places < 0)
        known = np.flatnonzero(places >= 0)
        made = self._made(cache, method, lacking, writable=writable) if len(lacking) else None
        if made is not None and not len(known):
            return made
        assert cache.row is not None
        everything = roomy((len(keys), cache.row[0]), cache.row[1], self._share, self._folder)
        cache.read(places[known], everything, known)
        if made is not None:
            everything[lacking] = made
        return everything

    def _made(self, cache: SketchCache, method: Method, rows: NDArray[np.int64], *, writable: bool) -> NDArray[Any]:
        progress = self._workspace.progress

        def pieces() -> Iterator[NDArray[Any]]:
            for texts in self._texts.pieces(rows):
                yield method.deduper.sketch(texts, threads=self._workspace.threads)
                progress.advance(len(texts))

        progress.start(f"{method.name}: reading", total=len(rows), unit="texts")
        made = cache.add(self._contents.keys[rows], pieces()) if writable else np.concatenate(list(pieces()))
        progress.finish()
        return made

    def _load_vectors(self, method: Method) -> NDArray[Any]:
        assert method.slug is not None
        ids, matrix = vectors.load(
            self._workspace.catalog,
            method.slug,
            sample_ids=self._contents.representative_ids,
            memory_bytes=self._share,
            spill=self._folder,
        )
        assert np.array_equal(ids, self._contents.representative_ids)
        return matrix
