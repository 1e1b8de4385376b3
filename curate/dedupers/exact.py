"""Marks samples whose content is the same, byte for byte."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.dedupers import MarkOptions, Marks, TextAccess
from curate.dedupers.rows.runs import first_of_equal
from curate.errors import SettingError
from curate.records import ANY, Progress


class ExactDeduper:
    """Equal content hashes are duplicates; the earliest in the order stands for all the others.

    Args:
        threshold: 1 or None; nothing is almost identical.
    """

    modalities: ClassVar[frozenset[str]] = ANY
    consumes: ClassVar[Literal["hash", "text", "vectors"]] = "hash"
    embedder: ClassVar[str | None] = None
    measure: ClassVar[str] = "identical bytes"
    equals_share_fate: ClassVar[bool] = False

    def __init__(self, *, threshold: float | None = None, **settings: Any) -> None:
        if settings:
            raise SettingError(f"exact dedupe has no setting {min(settings)!r}", hint="it takes none; leave it out")
        if threshold is not None and threshold != 1:
            raise SettingError(f"the threshold of exact dedupe is 1, got {threshold}", hint="near-duplicates: --method minhash")
        self.threshold = 1.0
        self.settings: dict[str, Any] = {"threshold": 1.0}

    @classmethod
    def example(cls) -> dict[str, Any]:
        """The settings that it is tried with."""
        return {}

    def sketch(self, texts: pa.LargeStringArray, *, threads: int = 0) -> NDArray[Any]:
        """Refuse: the content hash is the sketch."""
        raise SettingError("exact dedupe compares content hashes, it sketches no texts", hint="pass the (n, 16) hashes to mark")

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
        """Point each row at the earliest row of `order` with the same (16,) uint8 hash; see `Deduper.mark`."""
        progress.start("comparing hashes", total=len(order))
        chosen = np.ascontiguousarray(np.asarray(sketches, np.uint8)[order]).view(np.uint64)  # (m, 2)
        first = first_of_equal(chosen[:, 0].copy(), chosen[:, 1].copy())
        copies = np.flatnonzero(first != np.arange(len(order)))
        copies = copies[copies >= settled]
        copies = copies if among else copies[first[copies] < settled]
        stands_for = np.full(len(sketches), -1, np.int64)
        stands_for[order[copies]] = order[first[copies]]
        progress.advance(len(order))
        progress.finish()
        return Marks(stands_for, np.ones(len(sketches), np.float32), compared=len(copies))

    def similarity(self, left: Any, right: Any) -> NDArray[np.float32]:
        """(m,) 1 where the (16,) hashes are equal, 0 elsewhere."""
        found: NDArray[np.float32] = (np.asarray(left) == np.asarray(right)).all(axis=1).astype(np.float32)
        return found


PLUGIN = ExactDeduper
