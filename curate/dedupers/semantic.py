"""Near-duplicates by the cosine of an embedder's vectors."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from curate.dedupers import MarkOptions, Marks, TextAccess
from curate.dedupers.cosine_join import kernels as kernels
from curate.dedupers.cosine_join.cells import PROBES, partitioned_sweep
from curate.dedupers.cosine_join.guarded import GuardedPass
from curate.dedupers.cosine_join.join import Pass
from curate.dedupers.cosine_join.prefix import check_unit, choose_rotation
from curate.dedupers.guards.choice import choose_guards
from curate.dedupers.guards.guard import Guard
from curate.dedupers.rows.runs import first_of_equal
from curate.errors import SettingError
from curate.records import ANY, Progress
from curate.spill.residency import Residency
from curate.spill.scratch import Scratch

if TYPE_CHECKING:
    import pyarrow as pa

EXACT_UP_TO = 200_000
SCRIPTS = ("any", "latin")
"""What an embedder was made for; letters of other scripts are facts to the guards."""
BLOCK_ROWS = 8_192
BYTES_A_ROW = 100
"""What the bookkeeping of a row takes at most, digests and marks; it stays in memory whatever the limit."""


class Semantic:
    """Marks rows whose cosine to an earlier kept row is at least the threshold.

    A row's keeper is the most similar of the kept rows before it, the earliest among equals. The cosine is summed in
    float64 in a fixed order and rounded to float32; a pair counts if that, as a double, is at least `threshold`.
    Bit-identical vectors are collapsed first and share one fate: a copy stands behind the first of its kind where that is
    kept, and behind that one's keeper where it is not, even if a row kept in between is more similar.

    With `guards`, a pair also needs that none of them parts its texts (`guards.choice` lists them, the row's texts must then be
    given), and the next most similar kept row is asked about where one does. So two kept rows are similar at the threshold only
    if a guard parts them. Equal vectors share no fate then: a model gives texts that it cannot read the same one.

    Every pair with a kept row is considered as long as there are no more pairs than among `exact_up_to` distinct vectors. Above
    it rows are partitioned (`_semantic_cells`), a few duplicates may be missed, and the report says so.

    Source: the greedy pass is SemDeDup's idea (Abbas et al. 2023, arXiv:2303.09540) with the earliest row kept; the pruning
    bound is that of a norm-augmented projection (Teflioudi and Gemulla, LEMP, 2016).
    """

    modalities: ClassVar[frozenset[str]] = ANY
    consumes: ClassVar[Literal["hash", "text", "vectors"]] = "vectors"
    embedder: ClassVar[str | None] = None
    measure: ClassVar[str] = "cosine of embedding vectors"
    equals_share_fate: ClassVar[bool] = True

    def __init__(self, *, threshold: float | None = None, **settings: Any) -> None:
        exact_up_to = settings.pop("exact_up_to", EXACT_UP_TO)
        guards, scripts = settings.pop("guards", "none"), settings.pop("scripts", "any")
        if settings:
            known = "it knows threshold, exact_up_to, guards and scripts"
            raise SettingError(f"semantic has no setting {min(settings)!r}", hint=known)
        if threshold is None:
            raise SettingError(
                "semantic needs a threshold: this embedder has no measured one",
                hint="--threshold 0.95, or an embedder with a default threshold such as minilm",
            )
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold <= 1:
            raise SettingError(f"threshold must be in (0, 1], got {threshold!r}", hint="--threshold 0.95")
        if isinstance(exact_up_to, bool) or not isinstance(exact_up_to, int) or exact_up_to < 0:
            raise SettingError(f"exact_up_to must be a whole number of rows, got {exact_up_to!r}")
        if scripts not in SCRIPTS:
            raise SettingError(f"scripts must be one of {', '.join(SCRIPTS)}, got {scripts!r}")
        self.threshold = float(threshold)
        self.exact_up_to = exact_up_to
        self.guards = choose_guards(guards)
        self.wants_texts = bool(self.guards)
        self.equals_share_fate = not self.guards  # type: ignore[misc]
        self.settings: dict[str, Any] = {
            "threshold": self.threshold,
            "exact_up_to": exact_up_to,
            "guards": str(guards),
            "scripts": scripts,
        }

    @classmethod
    def example(cls) -> dict[str, Any]:
        """The settings that it is tried with."""
        return {"threshold": 0.9}

    def sketch(self, texts: pa.LargeStringArray) -> NDArray[Any]:
        """Refuse: the vectors of the catalog are the sketches.

        Raises:
            SettingError: always.
        """
        raise SettingError("semantic compares an embedder's vectors and does not sketch texts", hint="embed the dataset first")

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
        """Mark near-duplicates among `order`; see `curate.dedupers.Deduper.mark` for the law.

        Args:
            sketches: (n, d) float32 vectors of length 1 to within 1e-4; may be a memory map.

        Raises:
            SettingError: the arrays have another shape or type, a vector is not of length 1, or the guards lack the texts.
        """
        vectors = _as_vectors(sketches)
        order = np.ascontiguousarray(order, np.int64)
        if not 0 <= settled <= len(order):
            raise SettingError(f"settled must be between 0 and the {len(order)} rows of the order, got {settled}")
        stands_for = np.full(len(vectors), -1, np.int64)
        similarity = np.ones(len(vectors), np.float32)
        guard = self.guard(len(vectors), texts)
        if len(order) < 2:
            return Marks(stands_for, similarity, 0)
        progress.start("comparing vectors", total=len(order), unit="samples")
        residency = Residency(max(0, options.memory_bytes - BYTES_A_ROW * len(order)), vectors)
        step = residency.block(BLOCK_ROWS)
        for start in range(0, len(order), step):
            check_unit(vectors, order[start : start + step])
            residency.ease()
        first, twins = _collapse(vectors, order, residency) if guard is None else (np.arange(len(order)),) * 2
        settled_distinct = int(np.searchsorted(first, settled))
        work, notes = self._sweep(vectors, order[first], settled_distinct, guard, among, options, residency, progress)
        progress.advance(len(order) - len(first))
        progress.finish()

        keeper = np.where(work.kept, np.arange(len(first)), work.best_rank)[twins]
        cosine = np.where(work.kept, np.float32(1), work.best)[twins]
        dropped = (first[keeper] != np.arange(len(order))) & (np.arange(len(order)) >= settled)
        dropped &= among | (first[keeper] < settled)
        stands_for[order[dropped]] = order[first[keeper[dropped]]]
        similarity[order[dropped]] = cosine[dropped]
        return Marks(stands_for, similarity, work.compared, notes, _parted_by(work, len(vectors)))

    def guard(self, rows: int, texts: TextAccess | None) -> Guard | None:
        """The guards over `rows` rows; None where none is on.

        Raises:
            SettingError: the texts are missing, or nothing tells what the model read of them.
        """
        if not self.guards:
            return None
        if texts is None or not hasattr(texts, "readings"):
            raise SettingError("the guards of semantic need the texts and their readings", hint="guards=none")
        return Guard(rows, texts, self.guards, foreign=self.settings["scripts"] == "latin")  # type: ignore[arg-type]

    def _sweep(
        self,
        vectors: NDArray[np.float32],
        rows: NDArray[np.int64],
        settled: int,
        guard: Guard | None,
        among: bool,
        options: MarkOptions,
        residency: Residency,
        progress: Progress,
    ) -> tuple[Pass, tuple[str, ...]]:
        """Run the pass over distinct vectors, given in order of priority; `settled` of them lead."""
        threads = options.threads or os.cpu_count() or 1
        for_arrays = max(0, options.memory_bytes - BYTES_A_ROW * len(rows))
        notes: tuple[str, ...] = ()
        with (
            threadpool_limits(1, "blas"),
            ThreadPoolExecutor(threads) as workers,
            Scratch(for_arrays, options.folder, residency) as scratch,
        ):
            rotation = choose_rotation(vectors, rows, self.threshold, pairs=_pairs(len(rows), settled), residency=residency)
            given = (vectors, rows, rotation, self.threshold, workers, threads, scratch, residency)
            work = Pass(*given) if guard is None else GuardedPass(*given, guard=guard)
            progress.advance(settled)
            if not among or _pairs(len(rows), settled) <= _pairs(self.exact_up_to, 0):
                work.sweep(0, len(rows), progress.advance, settled=settled, among=among)
            else:
                cells = partitioned_sweep(work, settled, progress.advance)
                notes = (
                    f"{len(rows) - settled:,} distinct vectors among {len(rows):,} are more to compare than"
                    f" {self.exact_up_to:,} with one another, so they were compared within {min(PROBES, cells)} of {cells:,}"
                    " cells: about 99 % or more of the duplicates are found",
                )
            return work, notes + scratch.note()

    def similarity(self, left: Any, right: Any) -> NDArray[np.float32]:
        """The cosine of m pairs of vectors (m, d), in [-1, 1]; 0 where one is all zeros."""
        left, right = _as_vectors(left), _as_vectors(right)
        if left.shape != right.shape:
            raise SettingError(f"similarity needs pairs, got arrays of shapes {left.shape} and {right.shape}")
        found: NDArray[np.float32] = kernels.true_cosines(left, right)
        return found


def _as_vectors(array: Any) -> NDArray[np.float32]:
    """The same memory as a plain float32 matrix."""
    plain = np.asarray(array)
    if plain.ndim != 2 or plain.dtype != np.float32:
        raise SettingError(f"semantic needs a matrix of float32 vectors, got {plain.dtype} of shape {plain.shape}")
    return np.ascontiguousarray(plain)


def _collapse(
    vectors: NDArray[np.float32], order: NDArray[np.int64], residency: Residency
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find bit-identical vectors, by 128 bits of a multilinear hash with factors drawn once and for all.

    Returns:
        (u,) places in `order` of the first of each distinct vector, ascending, and (m,) which of these each place repeats.
    """
    words = vectors.view(np.uint32)
    factors = np.random.default_rng(0).integers(0, 2**64 - 1, (words.shape[1], 2), np.uint64, endpoint=True) | np.uint64(1)
    digests = np.empty((len(order), 2), np.uint64)
    step = residency.block(BLOCK_ROWS)
    for start in range(0, len(order), step):
        part = order[start : start + step]
        kernels.hash_rows(words, part, factors, digests[start : start + len(part)])
        residency.ease()
    first = first_of_equal(digests[:, 0], digests[:, 1])
    is_first = first == np.arange(len(order))
    rank_of = np.cumsum(is_first) - 1
    return np.flatnonzero(is_first), rank_of[first]


def _parted_by(work: Pass, rows: int) -> NDArray[np.uint8] | None:
    """(n,) for each kept row that a guard parts from a similar kept one, which guard that is; None without guards."""
    if not isinstance(work, GuardedPass) or work.guard is None:
        return None
    parted = np.zeros(rows, np.uint8)
    ranks = np.flatnonzero(work.kept & (work.parted >= 0))
    parted[work.rows[ranks]] = work.guard.refusals(work.rows[ranks], work.rows[work.parted[ranks]])
    return parted


def _pairs(rows: int, settled: int) -> int:
    """How many pairs of `rows` rows are to be compared, where the first `settled` are not compared among themselves."""
    return rows * (rows - 1) // 2 - settled * (settled - 1) // 2


PLUGIN = Semantic
