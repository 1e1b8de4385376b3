"""Marks texts that share most of their shingles: MinHash bands find candidates, the true Jaccard decides."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.dedupers import MarkOptions, Marks, TextAccess
from curate.dedupers.guards.choice import choose_guards
from curate.dedupers.rows.runs import first_of_equal
from curate.errors import SettingError
from curate.records import Progress
from curate.spill.residency import Residency
from curate.spill.scratch import Scratch

if TYPE_CHECKING:
    from curate.dedupers.shingling.buckets import Buckets, Budget
    from curate.dedupers.shingling.shingles import Shingler

_MOST_PERMUTATIONS = 256
_WANTED_RECALL = 0.999
MANY_SETTLED = 4
"""So many times more settled rows than others, and those that matter are looked for first."""
SIGNS_A_SLIP = 100
SHORT_SIGNS = 600
_UNITS = ("auto", "words", "characters")
_LIMITS = {"ngram": (1, 64), "bands": (1, 1024), "rows": (1, 256), "seed": (0, 2**63 - 1)}


def expected_recall(similarity: float, *, bands: int, rows: int) -> float:
    """The share of pairs of this Jaccard that agree in one band at least: 1 - (1 - s^rows)^bands.

    Source: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.2.
    """
    return 1 - (1 - similarity**rows) ** bands


def choose_bands(threshold: float, *, rows: int | None = None) -> tuple[int, int]:
    """Choose (bands, rows): the most selective of at most 256 permutations that finds 0.999 of the pairs at the threshold.

    With `rows` given, only the bands are chosen. Where 256 are too few (a threshold under about 0.03), 256 bands of one row.
    """
    for candidate in range(_MOST_PERMUTATIONS, 0, -1) if rows is None else (rows,):
        agree = max(threshold**candidate, 1e-300)
        bands = 1 if agree >= _WANTED_RECALL else math.ceil(math.log(1 - _WANTED_RECALL) / math.log1p(-agree))
        if bands * candidate <= _MOST_PERMUTATIONS:
            return bands, candidate
    return max(1, _MOST_PERMUTATIONS // (rows or 1)), rows or 1


class MinHashDeduper:
    """Near-duplicates by the Jaccard similarity of shingle sets; `_shingles` states what a shingle is.

    A row is compared only with kept rows that agree with it in a whole band, and stands aside for the most similar of them
    (the earliest, of equals) if their true Jaccard reaches the threshold. Kept rows are unlike each other, so a huge
    group costs one comparison a row. Rows of equal shingles share one fate: a copy stands behind the first of its kind where
    that is kept, and behind that one's keeper where it is not, even if a row kept in between is more similar.

    Args:
        threshold: lowest Jaccard of duplicates, in (0, 1]; 0.8 unless given.
        ngram: tokens in a shingle, 5 unless given.
        bands, rows: signature rows a band; chosen from the threshold for a recall of 0.999 there unless given.
        seed: of the hash functions.
        unit: "auto" (words, or characters in scripts without spaces), "words" or "characters".
        guards: "none", or as `guards.choice` says: then texts under `facts.LONG` words are alike only if their numbers,
            denials, signs and opposites are the same, and short ones in scripts without spaces only if the one is the other
            with some signs left out or put in.

    Raises:
        SettingError: a value is out of range, or a setting is not known.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"text"})
    consumes: ClassVar[Literal["hash", "text", "vectors"]] = "text"
    embedder: ClassVar[str | None] = None
    measure: ClassVar[str] = "Jaccard of shingles"
    equals_share_fate: ClassVar[bool] = True

    def __init__(self, *, threshold: float | None = None, **settings: Any) -> None:
        self.threshold = _checked_threshold(0.8 if threshold is None else threshold)
        guards = settings.pop("guards", "none")
        unknown = sorted(settings.keys() - {*_LIMITS, "unit"})
        if unknown:
            raise SettingError(
                f"minhash has no setting {unknown[0]!r}", hint="one of: " + ", ".join([*_LIMITS, "unit", "guards"])
            )
        given = {name: _checked_whole(name, settings[name]) for name in _LIMITS if settings.get(name) is not None}
        unit = settings.get("unit") or "auto"
        if unit not in _UNITS:
            raise SettingError(f"unit must be one of {', '.join(_UNITS)}, got {unit!r}")
        bands, rows = choose_bands(self.threshold, rows=given.get("rows"))
        self.settings: dict[str, Any] = {
            "threshold": self.threshold,
            "ngram": given.get("ngram", 5),
            "bands": given.get("bands", bands),
            "rows": rows,
            "seed": given.get("seed", 1),
            "unit": unit,
            "guards": str(guards),
        }
        self._guards = choose_guards(guards)
        self.measure = f"Jaccard of {_noun(unit)} {self.settings['ngram']}-grams"  # type: ignore[misc]

    @property
    def recall(self) -> float:
        """The expected recall of pairs at the threshold; more similar pairs are missed less."""
        return expected_recall(self.threshold, bands=self.settings["bands"], rows=self.settings["rows"])

    @classmethod
    def example(cls) -> dict[str, Any]:
        """The settings that it is tried with."""
        return {}

    def sketch(self, texts: pa.LargeStringArray, *, threads: int = 0) -> NDArray[np.uint32]:
        """Sketch texts: (n, bands + 2) uint32, a hash per band and a 64-bit fingerprint of the shingles in two halves."""
        from curate.dedupers.shingling.shingles import as_texts

        chosen = {name: self.settings[name] for name in ("bands", "rows", "seed")}
        return self._shingler().sketch(as_texts(texts), **chosen, threads=threads)

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
        """Visit the rows of `order` greedily; see `Deduper.mark`.

        Raises:
            SettingError: `texts` is missing, or the sketches were made with other bands.
        """
        from curate.dedupers.shingling.buckets import Budget, fingerprints, number_buckets

        bands = self.settings["bands"]
        if texts is None:
            raise SettingError("minhash needs the texts, to verify each candidate pair")
        if sketches.ndim != 2 or sketches.shape[1] != bands + 2 or sketches.dtype != np.uint32:
            raise SettingError(
                f"the sketches do not have {bands} bands: {sketches.dtype} {sketches.shape}", hint="sketch again"
            )
        order = np.asarray(order, np.int64)
        order, settled = self._without_idle(sketches, order, settled, options)
        budget = Budget(options.memory_bytes, len(order), bands)
        with Scratch(budget.arrays, options.folder, Residency(budget.resident, sketches)) as scratch:
            prints = fingerprints(sketches, order, bands, scratch, budget)
            empty = int((prints == 0).sum())
            first = first_of_equal(
                prints
            )  # (m,) equal shingles everywhere: such a row shares the fate of the first of its kind
            del prints
            kinds = np.flatnonzero(first == np.arange(len(order)))  # (k,) positions in `order`
            rows, fixed = order[kinds], int(np.searchsorted(kinds, settled))
            buckets = number_buckets(sketches, rows, bands, fixed, options.threads, scratch, budget, progress)
            keeper, found, compared = self._visit(rows, buckets, fixed, among, texts, options, scratch, budget, progress)
            spilled = scratch.note()
        marks = _spread(len(sketches), order, settled, first, kinds, keeper, found, compared, among)
        shape = f"{bands} bands of {self.settings['rows']} rows"
        notes = [f"expected recall {self.recall:.4f} of pairs at Jaccard {self.threshold:g} ({shape})", *spilled]
        notes += budget.notes()
        if empty > 1:
            notes.append(f"{empty} texts have no visible character and count as identical")
        return Marks(*marks, notes=tuple(notes))

    def _without_idle(
        self, sketches: NDArray[np.uint32], order: NDArray[np.int64], settled: int, options: MarkOptions
    ) -> tuple[NDArray[np.int64], int]:
        """The order without those settled rows that meet no later one, and how many settled ones are left.

        Left as it is where it would not pay, or where the bands of the later ones are too many for the memory.
        """
        from curate.dedupers.shingling.buckets import Budget, noted_bytes, settled_that_meet

        bands, fresh = self.settings["bands"], len(order) - settled
        if not 0 < MANY_SETTLED * fresh < settled or noted_bytes(fresh, bands) > options.memory_bytes // 4:
            return order, settled
        budget = Budget(options.memory_bytes, len(order), bands)
        with Scratch(budget.arrays, options.folder, Residency(budget.resident, sketches)) as scratch:
            lead = settled_that_meet(sketches, order, settled, bands, scratch, budget)
        return np.concatenate([order[lead], order[settled:]]), len(lead)

    def similarity(self, left: Any, right: Any) -> NDArray[np.float32]:
        """(m,) true Jaccard of the shingle sets of m pairs of texts."""
        from curate.dedupers.shingling.shingles import as_texts

        return self._shingler().jaccard(as_texts(left), as_texts(right)).astype(np.float32)

    def _shingler(self) -> Shingler:
        from curate.dedupers.shingling.shingles import Shingler  # compiling numba's kernels waits until a text is there

        return Shingler(self.settings["ngram"], self.settings["unit"], self._guards)

    def _narrow(self, signs: NDArray[np.bool_], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """(w,) how many shingles a text of signs may lack: those that one sign left out takes, once a `SIGNS_A_SLIP`."""
        slips = 1 + sizes // SIGNS_A_SLIP
        return np.where(signs & (sizes < SHORT_SIGNS), slips * (self.settings["ngram"] - 1), -1)

    def _visit(
        self,
        rows: NDArray[np.int64],
        buckets: Buckets,
        settled: int,
        among: bool,
        texts: TextAccess,
        options: MarkOptions,
        scratch: Scratch,
        budget: Budget,
        progress: Progress,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
        """Find for each of k rows, all of different shingles, the kept one that stands for it (or -1) and their Jaccard."""
        from curate.dedupers.shingling import kernels
        from curate.dedupers.shingling.shingles import as_texts

        heads = scratch.array(buckets.total, np.int32, fill=-1)
        keeper, found = np.full(len(rows), -1, np.int64), np.ones(len(rows), np.float64)
        spans = scratch.array((len(rows), 2), np.int64, fill=0)
        seen = scratch.array(len(rows), np.int32, fill=0)
        kept, used, compared = scratch.array(2**16, np.uint64), 0, 0
        shingler = self._shingler()
        meeting = buckets.meeting
        progress.start("comparing texts", total=len(meeting))
        low, step = 0, 256
        while low < len(meeting):
            window = meeting[low : low + min(step, budget.window(spilled=scratch.spilled_bytes > 0))]
            batch = as_texts(texts.take(rows[window]))
            signs = shingler.mostly_signs(batch) if self._guards else np.zeros(len(batch), np.bool_)
            at = 0
            for part in shingler.sets(batch, threads=options.threads):
                members = window[at : at + len(part.ends) - 1]
                more = used + int(part.ends[-1])
                kept = kept if more <= len(kept) else scratch.enlarge(kept, max(2 * len(kept), more))
                rules = (settled, among, self.threshold)
                state = (buckets.groups, buckets.bases, heads, kept, spans, used, seen, *rules, keeper, found)
                narrow = self._narrow(signs[at : at + len(members)], np.diff(part.ends))
                used, pairs = kernels.visit(members, part.values, part.ends, narrow, *state)
                compared += pairs
                at += len(members)
            scratch.residency.ease()
            progress.advance(len(window))
            low += len(window)
            step = int(min(max(budget.texts * len(window) // max(batch.nbytes, 1), 16), 2**16))
        progress.finish()
        return keeper, found, compared


def _spread(
    size: int,
    order: NDArray[np.int64],
    settled: int,
    first: NDArray[np.int64],
    kinds: NDArray[np.int64],
    keeper: NDArray[np.int64],
    found: NDArray[np.float64],
    compared: int,
    among: bool,
) -> tuple[NDArray[np.int64], NDArray[np.float32], int]:
    """Give each row the keeper of the first of its kind, or that first row itself where it is kept."""
    kind_of = np.searchsorted(kinds, first)  # (m,)
    stand_in = np.where(keeper >= 0, kinds[keeper], kinds)[kind_of] if len(kinds) else first
    aside = (stand_in != np.arange(len(order))) & (np.arange(len(order)) >= settled)
    if not among:
        aside &= stand_in < settled  # the first of a kind that resembles no settled row stands for none of its kind
    stands_for, similarity = np.full(size, -1, np.int64), np.ones(size, np.float32)
    stands_for[order[aside]] = order[stand_in[aside]]
    similarity[order[aside]] = found[kind_of[aside]] if len(kinds) else 1
    copies = int((aside & (first != np.arange(len(order)))).sum())
    return stands_for, similarity, compared + copies


def _checked_threshold(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise SettingError(f"threshold must be in (0, 1], got {value}", hint="--threshold 0.8")
    return float(value)


def _checked_whole(name: str, value: Any) -> int:
    low, high = _LIMITS[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SettingError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    return value


def _noun(unit: str) -> str:
    return "character" if unit == "characters" else "word"


PLUGIN = MinHashDeduper
