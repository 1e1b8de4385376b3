"""Finds pictures that show the same thing in the same way: resized, recompressed, cropped, relit, marked."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from curate.dedupers import MarkOptions, Marks, TextAccess
from curate.dedupers.thumbnail_join.shortfall import candidates_note, count_tiny, tiny_note
from curate.dedupers.thumbnail_join.visit import Visit, frozen, measure_pairs, posed
from curate.dedupers.thumbnail_join.waves import WIDTH, tables
from curate.errors import SettingError
from curate.records import Progress
from curate.spill.residency import Residency

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT = 0.85
_POSES = {"flip": ((True, 0),), "rotate": ((False, 1), (False, 2), (False, 3))}


class Perceptual:
    """Aligned correlation of perceptual vectors.

    Candidates are pairs whose 192-bit codes lie near each other, whole against whole or against a crop; each is verified by
    correlating the whitened thumbnails, over small crops of either and over all places a watermark may hide.

    The default threshold errs to keeping. On clothing_small (`bench_perceptual.py --cases quality,unedited`) it finds 0.996 of
    22 kinds of light edit of 428 photographs (the least, a watermark: 0.977) and all mirrored and turned ones. It marks 1 of
    the 1,713 unedited ones, which is the same picture to the eye, 2 of 20,000 garments of 28×28, and no flat icon or line
    drawing of 2,000 each. Of heavier edits, and of pictures under 48 pixels a side, it finds fewer: see `shortfall`.

    Args:
        threshold: lowest measure of a duplicate, in (0, 1].
        invariant: what counts as the same picture, joined by commas: "flip" (left to right), "rotate" (quarter turns), or "".
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    consumes: ClassVar[Literal["hash", "text", "vectors"]] = "vectors"
    embedder: ClassVar[str | None] = "perceptual"
    measure: ClassVar[str] = "aligned correlation of whitened thumbnails"
    equals_share_fate: ClassVar[bool] = False

    def __init__(self, *, threshold: float | None = None, invariant: str = "", **settings: Any) -> None:
        if settings:
            unknown = ", ".join(sorted(settings))
            raise SettingError(f"the perceptual deduper has no setting {unknown}", hint="it has threshold and invariant")
        self.threshold = DEFAULT if threshold is None else threshold
        if not 0 < self.threshold <= 1:
            raise SettingError(f"threshold must be in (0, 1], got {self.threshold}", hint=f"--threshold {DEFAULT}")
        asked = {word.strip() for word in invariant.split(",") if word.strip()}
        if asked - _POSES.keys():
            raise SettingError(f"invariant knows flip and rotate, got {invariant!r}", hint="--invariant flip,rotate")
        self.settings: dict[str, Any] = {"threshold": self.threshold, "invariant": ",".join(sorted(asked))}
        turns = range(4) if "rotate" in asked else range(1)
        self._poses = [(mirror, turn) for mirror in (False, True)[: 1 + ("flip" in asked)] for turn in turns]

    @classmethod
    def example(cls) -> dict[str, Any]:
        """The settings that it is tried with."""
        return {}

    def sketch(self, texts: pa.LargeStringArray) -> NDArray[Any]:
        """Refuse: the embedder's vectors are the sketches."""
        raise SettingError(
            "the perceptual deduper compares vectors, not texts",
            hint="embed the images first: curate embed DATASET --embedder perceptual",
        )

    def mark(
        self,
        sketches: NDArray[Any],
        order: NDArray[np.int64],
        *,
        settled: int = 0,
        among: bool = True,
        texts: TextAccess | None = None,
        options: MarkOptions = MarkOptions(),
        progress: Progress,
    ) -> Marks:
        """Point each near-duplicate at the most similar kept row before it; see `Deduper`."""
        sketches = _checked(sketches)
        threads = options.threads or os.cpu_count() or 1
        stands_for, similarity = np.full(len(sketches), -1, np.int64), np.ones(len(sketches), np.float32)
        progress.start("comparing", total=len(order), unit="images")
        residency = Residency(options.memory_bytes, sketches)
        with ThreadPoolExecutor(threads) as pool:
            index_bytes = options.memory_bytes * 3 // 4  # the rest is for vectors that are read
            visit = Visit(
                sketches,
                order,
                self._poses,
                threshold=self.threshold,
                threads=threads,
                memory_bytes=index_bytes,
                pool=pool,
                ease=residency.ease,
            )
            tiny = 0
            for rows, best, keeper in visit.blocks(settled, among=among):
                tiny += count_tiny(sketches[rows])
                marked = keeper >= 0
                stands_for[rows[marked]] = keeper[marked]
                similarity[rows[marked]] = best[marked]
                progress.advance(len(rows))
        progress.finish()
        notes = [candidates_note(self.threshold)]
        if tiny:
            notes.append(tiny_note(tiny, len(order)))
        if visit.loads:
            again = f"{visit.loads} times more, {visit.segment:,} at a time"
            notes.append(f"kept images were indexed {again}, to stay within the memory limit")
        return Marks(stands_for, similarity, visit.compared, tuple(notes))

    def candidates_note(self, threshold: float) -> str:
        """Which share of the pairs at or above a threshold `mark` looks at, as measured."""
        return candidates_note(threshold)

    def similarity(self, left: Any, right: Any) -> NDArray[np.float32]:
        """The measure of m pairs of vectors, over the poses that `invariant` names."""
        out = np.empty(len(left), np.float32)
        measure_pairs(_checked(right), posed(_checked(left), self._poses), tables(), out)
        return out


def _checked(vectors: NDArray[Any]) -> NDArray[np.float32]:
    if vectors.ndim != 2 or vectors.shape[1] != WIDTH:
        raise SettingError(
            f"the perceptual deduper needs perceptual vectors of width {WIDTH}, got an array of shape {vectors.shape}",
            hint="curate embed DATASET --embedder perceptual --replace",
        )
    return frozen(np.ascontiguousarray(vectors, np.float32))


PLUGIN = Perceptual
