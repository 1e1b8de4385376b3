"""What the dedupe methods compare: texts, sketches and vectors, a row for each content, within a bound of memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.catalog import datasets, vectors
from curate.dedupers import MarkOptions, Marks, TextAccess, wants_texts
from curate.deduplication.content_texts import ContentTexts
from curate.deduplication.contents import Contents
from curate.deduplication.guard_texts import GuardTexts
from curate.deduplication.methods import Method
from curate.deduplication.sketch_cache import SketchCache, copy_rows
from curate.embedding.missing import embed_dataset
from curate.embedding.specs import is_superseded
from curate.errors import SettingError
from curate.spill import resident_bytes, return_unused, roomy
from curate.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS = 4
"""Texts, sketches and vectors may each hold a quarter of what the process may grow by; the last is for a method's own work."""
LEAST_BYTES = 3 * 2**26
"""So much at least is to be shared out, or two thirds of the limit: where the process is too large already, it grows."""
TO_COME_BYTES = 2**27
"""What compiled code and its libraries take when they are loaded."""


class Materials:
    """Made when a method first asks for them; a context manager, whose end removes every file.

    Args:
        memory_bytes: the size that the process may have, where its libraries and the catalog leave room for it; what goes
            beyond lies in mapped files, whose pages are given back.
    """

    def __init__(self, workspace: Workspace, contents: Contents, memory_bytes: int) -> None:
        self._workspace = workspace
        self._contents = contents
        self._memory_bytes = memory_bytes
        self._share = self._left() // PARTS
        self._folder = workspace.folder("indexes", "spill")
        self._texts = ContentTexts(workspace, contents.representative_ids, self._share)
        self._guard_texts: dict[str, GuardTexts] = {}
        self._sketches: dict[str, NDArray[Any]] = {}

    def __enter__(self) -> Materials:
        return self

    def __exit__(self, *_: object) -> None:
        for read in self._guard_texts.values():
            read.close()
        self._texts.close()

    def mark(self, method: Method, order: NDArray[np.int64], settled: int, *, among: bool = True) -> Marks:
        """Run one method over contents by number; `settled` and `among` as `Deduper.mark` takes them."""
        sketches = self.sketches(method)
        options = MarkOptions(threads=self._workspace.threads, memory_bytes=self._left(), folder=self._folder)
        texts = self._texts_for(method) if wants_texts(method.deduper) else None
        progress = self._workspace.progress
        if among:
            return method.deduper.mark(sketches, order, settled=settled, texts=texts, options=options, progress=progress)
        return method.deduper.mark(
            sketches, order, settled=settled, among=False, texts=texts, options=options, progress=progress
        )

    def _texts_for(self, method: Method) -> TextAccess:
        """The texts, for a method that compares vectors with what its embedder saw of them."""
        if method.slug is None:
            return self._texts
        if method.slug not in self._guard_texts:
            self._guard_texts[method.slug] = GuardTexts(self._workspace, self._contents, self._texts, method)
        return self._guard_texts[method.slug]

    def sketches(self, method: Method) -> NDArray[Any]:
        """(u, width) what the method compares; may be a memory map."""
        if method.name not in self._sketches:
            made = self._sketch_texts(method) if method.deduper.consumes == "text" else self._load_vectors(method)
            self._sketches[method.name] = made
        return self._sketches[method.name]

    def _left(self) -> int:
        """What the process may grow by, after others gave back what they can where that is less than half."""
        half = self._memory_bytes // 2
        if self._memory_bytes - resident_bytes() - TO_COME_BYTES < half:
            self._workspace.catalog.shrink()
            return_unused()
        return max(self._memory_bytes - resident_bytes() - TO_COME_BYTES, min(2 * self._memory_bytes // 3, LEAST_BYTES))

    def _sketch_texts(self, method: Method) -> NDArray[Any]:
        """Take what was sketched before, and sketch the rest."""
        keys, deduper = self._contents.keys, method.deduper
        writable = not self._workspace.read_only
        cache = SketchCache(self._workspace.folder("indexes", "sketches"), method.name, deduper.settings, writable=writable)
        places = cache.find(keys)
        lacking = np.flatnonzero(places < 0)
        if len(lacking) and not writable:
            return self._beside(cache, places, np.concatenate(list(self._pieces(method, lacking))), lacking)
        if len(lacking):
            places[lacking] = cache.add(keys[lacking], self._pieces(method, lacking))
        known = cache.sketches
        if (np.diff(places) == 1).all():  # they lie there in this very order
            return known[places[0] : places[0] + len(places)]
        everything = roomy((len(keys), known.shape[1]), known.dtype, self._share, self._folder)
        copy_rows(known, everything, np.arange(len(keys)), self._share, places)
        return everything

    def _beside(
        self, cache: SketchCache, places: NDArray[np.int64], made: NDArray[Any], lacking: NDArray[np.int64]
    ) -> NDArray[Any]:
        """What was kept and what was made now, where nothing may be kept."""
        if len(lacking) == len(places):
            return made
        everything = roomy((len(places), made.shape[1]), made.dtype, self._share, self._folder)
        known = np.flatnonzero(places >= 0)
        copy_rows(cache.sketches, everything, known, self._share, places[known])
        copy_rows(made, everything, lacking, self._share)
        return everything

    def _pieces(self, method: Method, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """The sketches of these contents, made now."""
        progress = self._workspace.progress
        progress.start(f"{method.name}: reading", total=len(rows), unit="texts")
        for texts in self._texts.pieces(rows):
            yield method.deduper.sketch(texts, threads=self._workspace.threads)
            progress.advance(len(texts))
        progress.finish()

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


def embed_missing_vectors(workspace: Workspace, names: Iterable[str], plan: Mapping[str, Sequence[Method]]) -> list[str]:
    """Make the vectors that a method compares and that are not there yet.

    Raises:
        SettingError: the catalog's vectors are of an earlier version of the embedder.
    """
    notes, names = [], list(names)
    wanted = {(m.embedder, m.slug): modality for modality, chosen in plan.items() for m in chosen if m.embedder and m.slug}
    for (spec, slug), modality in wanted.items():
        _check_current(workspace, slug, names)
        for name in names:
            if _lacks_vectors(workspace, name, slug, modality):
                made = embed_dataset(workspace, name, embedder=spec)
                notes.append(f"{made.embedded:,} samples of {name} were embedded with {spec} first ({made.seconds:.1f} s)")
    return notes


def _check_current(workspace: Workspace, slug: str, names: Sequence[str]) -> None:
    """Refuse vectors of an earlier version, also where none is missing: they are measured unlike new ones, or not at all."""
    row = next((row for row in vectors.embedders(workspace.catalog) if row.slug == slug), None)
    if row is not None and is_superseded(row):
        others = ", ".join(f"curate embed {name} --embedder {row.spec}" for name in names[1:])
        raise SettingError(
            f"the vectors of {row.spec} were made by an earlier version of it",
            hint=f"curate embed {names[0]} --embedder {row.spec} --replace" + (f", then {others}" if others else ""),
        )


def _lacks_vectors(workspace: Workspace, name: str, slug: str, modality: str) -> bool:
    catalog = workspace.catalog
    if all(row.slug != slug for row in vectors.embedders(catalog)):
        return True
    return len(vectors.missing(catalog, slug, datasets.find(catalog, name).dataset_id, [modality])) > 0
