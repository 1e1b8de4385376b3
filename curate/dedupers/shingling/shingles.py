"""Cuts texts into shingles: which characters make a token, how texts are normalised, and the work over batches and threads.

The token rule (unit "auto"). A text is normalised by NFKC and case-folded (Unicode case folding, so ß meets ss). A token is a
maximal run of letters, marks, digits and underscores; a code point that this Python's Unicode does not assign, or leaves to
private use, counts as a letter, for new scripts are made of those. In scripts written without spaces (Han, kana, Bopomofo,
Thai, Lao, Khmer, Myanmar, Tai, Buginese, Javanese, Balinese) each code point is a token by itself, so that a text of mixed
languages needs no verdict on its script; so is each symbol (mathematical signs, currency, emoji, and # % & * / @ \\ ^), for 2+2
is not 2*2. All other punctuation and white space separate tokens, and invisible format characters (soft hyphen, zero-width
space, variation selectors) are not there. A shingle is `ngram` consecutive tokens. Unit "words" differs in that runs stay
whole in every script.

A text of fewer tokens than `ngram`, and any text in unit "characters", is cut into `ngram` consecutive visible code
points instead, punctuation included, so that "C" is not "C++"; one that is shorter still is one shingle. This parts no
two similar texts: one of fewer than `ngram` words and one of more have no word shingle in common anyway. Texts of
nothing visible have no shingle: they equal each other and nothing else.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curate.columns import as_truth, as_words
from curate.dedupers.shingling import kernels as kernels
from curate.dedupers.shingling.facts import facts_of, wanted_kinds
from curate.errors import SettingError

Unit = Literal["auto", "words", "characters"]

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x1AAF),  # Tai Le, New Tai Lue, Buginese, Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x3005, 0x3007),  # Han iteration mark and number
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA980, 0xA9FF),  # Javanese, Myanmar
    (0xAA60, 0xAADF),  # Myanmar, Tai Viet
    (0xF900, 0xFAFF),
    (0x1AFF0, 0x1B16F),  # kana
    (0x20000, 0x3FFFF),  # Han
)
_SELECTORS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))  # of variants of the letter before
_STABLE = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3))  # Han and Hangul syllables: no case, nothing to normalise
_FOLDED = ((0x80, 0x33FF), (0xA000, 0xABFF), (0xF900, 0xFFFF), (0x1F000, 0x1FAFF))
_PIECE_BYTES = 16 * 2**20
_SLICE_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Sets:
    """Distinct shingles of some texts: text r has values[ends[r]:ends[r + 1]], 64-bit hashes in order of appearance."""

    values: NDArray[np.uint64]
    ends: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shingler:
    """How texts are cut; the module's docstring states the rule.

    Attributes:
        ngram: tokens in a shingle.
        unit: what a token is.
        guards: which facts part short texts, for the sketches; see `facts`.
    """

    ngram: int
    unit: Unit
    guards: frozenset[str] = frozenset()

    def sketch(
        self, texts: pa.LargeStringArray, *, bands: int, rows: int, seed: int, threads: int
    ) -> NDArray[np.uint32]:  # (n, bands + 2)
        """Sketch texts, as `_kernels.sketch_rows` says."""
        out = np.empty((len(texts), bands + 2), np.uint32)
        tables = _classes(self.unit), _folds()  # made before the threads, which would each make their own
        for low, high in _pieces(_offsets(texts)):
            data, offsets = _normalised(texts.slice(low, high - low))

            def work(start: int, end: int, data: Any = data, offsets: Any = offsets, into: Any = out[low:high]) -> None:
                span = _frozen(offsets[start : end + 1])
                common = (data, span, *tables, self.ngram, self.unit != "characters")
                kernels.sketch_rows(*common, rows, np.uint64(seed), into[start:end])
                if self.guards:
                    _mix_in(into[start:end], facts_of(data, span, *tables, wanted_kinds(self.guards))[0])

            _over_slices(work, offsets, threads)
        return out

    def sets(self, texts: pa.LargeStringArray, *, threads: int) -> list[Sets]:
        """Cut texts into sets, in as many consecutive parts as there were slices of work."""
        data, offsets = _normalised(texts)
        tables = _classes(self.unit), _folds()

        def work(start: int, end: int) -> Sets:
            span = _frozen(offsets[start : end + 1])
            values = np.empty(
                int(span[-1] - span[0]), np.uint64
            )  # as many tokens as bytes at most; untouched pages cost nothing
            ends = np.empty(end - start + 1, np.int64)
            kernels.set_rows(data, span, *tables, self.ngram, self.unit != "characters", values, ends)
            return Sets(values, ends)

        return _over_slices(work, offsets, threads)

    def mostly_signs(self, texts: pa.LargeStringArray) -> NDArray[np.bool_]:
        """(n,) which texts are mostly signs of scripts without spaces."""
        data, offsets = _normalised(texts)
        return facts_of(data, _frozen(offsets), _classes(self.unit), _folds(), wanted_kinds(frozenset()))[1]

    def jaccard(self, left: pa.LargeStringArray, right: pa.LargeStringArray) -> NDArray[np.float64]:
        """(m,) true Jaccard of the shingle sets of each pair of texts; two texts without shingles have 1."""
        out = np.empty(len(left), np.float64)
        for low, high in _pieces(_offsets(left) - _offsets(left)[0] + _offsets(right) - _offsets(right)[0]):
            (ours,) = self.sets(left.slice(low, high - low), threads=1)
            (theirs,) = self.sets(right.slice(low, high - low), threads=1)
            kernels.jaccard_pairs(ours.values, ours.ends, theirs.values, theirs.ends, out[low:high])
        return out


def cores(threads: int) -> int:
    """How many threads to run: as many as asked for, or for 0 one a core that this process may use."""
    if threads > 0:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def as_texts(texts: Any) -> pa.LargeStringArray:
    """Take an Arrow array of strings of any width.

    Raises:
        SettingError: it holds something else, or nulls.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if not isinstance(texts, pa.Array) or not (pa.types.is_large_string(texts.type) or pa.types.is_string(texts.type)):
        raise SettingError(f"texts must be an Arrow array of strings, got {getattr(texts, 'type', type(texts).__name__)}")
    if texts.null_count:
        raise SettingError(f"{texts.null_count} of {len(texts)} texts are null", hint="leave those rows out of the order")
    return texts.cast(pa.large_string())


def _offsets(texts: pa.LargeStringArray) -> NDArray[np.int64]:
    buffer = texts.buffers()[1]
    if buffer is None or not len(texts):
        return np.zeros(1, np.int64)
    return np.frombuffer(buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view, so that one compiled signature serves arrays of ours and Arrow's immutable buffers."""
    view = array.view()
    view.flags.writeable = False
    return view


def _normalised(texts: pa.LargeStringArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Normalise what the kernels cannot, who fold single code points; returns the UTF-8 bytes and where each text starts."""
    data, offsets = _bytes(texts), _offsets(texts)
    if pc.all(pc.string_is_ascii(texts)).as_py() is not False:
        return data, offsets
    foreign = np.empty(len(texts), np.bool_)
    kernels.mark_unfoldable(data, _frozen(offsets), _folds(), foreign)
    if foreign.any():
        mask = as_truth(foreign)
        folded = [unicodedata.normalize("NFKC", text).casefold() for text in texts.filter(mask).to_pylist()]
        texts = pc.replace_with_mask(texts, mask, as_words(folded))
    return _bytes(texts), _offsets(texts)


def _bytes(texts: pa.LargeStringArray) -> NDArray[np.uint8]:
    buffer = texts.buffers()[2]
    return _frozen(np.frombuffer(buffer, np.uint8) if buffer is not None and buffer.size else np.zeros(0, np.uint8))


def _mix_in(sketches: NDArray[np.uint32], facts: NDArray[np.uint64]) -> None:
    """Turn every band and the fingerprint of texts with facts, so that those of other facts meet in none."""
    low, high = (facts & np.uint64(0xFFFFFFFF)).astype(np.uint32), (facts >> np.uint64(32)).astype(np.uint32)
    sketches[:, 0::2] ^= low[:, None]
    sketches[:, 1::2] ^= high[:, None]


def _pieces(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut rows into runs of some `_PIECE_BYTES` of text, each of one row at least."""
    low, rows = 0, len(offsets) - 1
    while low < rows:
        high = max(low + 1, int(np.searchsorted(offsets, offsets[low] + _PIECE_BYTES, side="right")) - 1)
        yield low, min(high, rows)
        low = high


def _over_slices(work: Any, offsets: NDArray[np.int64], threads: int) -> list[Any]:
    """Call work(start, end) on slices of rows with about equal bytes, each in its own thread; results in order."""
    rows = len(offsets) - 1
    size = int(offsets[-1] - offsets[0])
    count = max(1, min(cores(threads), rows, size // _SLICE_BYTES))
    if count == 1:
        return [work(0, rows)]
    cuts = np.searchsorted(offsets, offsets[0] + size * np.arange(1, count) / count)
    bounds = np.unique(np.concatenate([[0], cuts, [rows]])).tolist()
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, bounds[:-1], bounds[1:]))


@cache
def _classes(unit: Unit) -> NDArray[np.uint8]:
    """(0x110000,) what each code point is; one that this Python does not know counts as a letter."""
    table = np.full(0x110000, kernels.WORD, np.uint8)
    for low, high in ((0, 0x33FFF), (0xE0000, 0xE01FF)):
        categories = list(map(unicodedata.category, map(chr, range(low, high + 1))))
        numbers = {name: number for number, name in enumerate(dict.fromkeys(categories))}
        of_category = np.array([_class(name) for name in numbers], np.uint8)
        table[low : high + 1] = of_category[np.fromiter(map(numbers.__getitem__, categories), np.uint8, len(categories))]
    for low, high in _SELECTORS:
        table[low : high + 1] = kernels.SKIP
    table[ord("_")] = kernels.WORD
    table[[ord(letter) for letter in "#%&*/@\\^"]] = kernels.ALONE
    if unit != "words":
        for low, high in _UNSPACED:
            block = table[low : high + 1]
            block[block == kernels.WORD] = kernels.ALONE
    return _frozen(table)


@cache
def _folds() -> NDArray[np.uint32]:
    """(0x110000,) what NFKC and case folding make of a code point, where that is one code point whatever stands beside it.

    0 elsewhere: where it becomes several, or may compose with the one before it (a combining mark, say), and in rare scripts. A
    text in which every code point is told keeps its form under NFKC, by the quick check of Unicode's Annex 15, section 9.
    """
    table = np.zeros(0x110000, np.uint32)
    for low, high in _STABLE:
        table[low : high + 1] = np.arange(low, high + 1)
    points = [point for low, high in _FOLDED for point in range(low, high + 1)]
    composing = {unicodedata.decomposition(chr(point)).split(" ")[-1] for point in points}
    for point in points:
        letter = chr(point)
        folded = letter.casefold()
        alone = not unicodedata.combining(letter) and f"{point:04X}" not in composing and not 0x1160 <= point <= 0x11FF
        if alone and len(folded) == 1 and unicodedata.normalize("NFKC", letter) == letter:
            table[point] = ord(folded)
    return _frozen(table)


def _class(category: str) -> int:
    """What a code point of a general category of Unicode is, with the exceptions that `_classes` makes."""
    if category == "Cf":
        return kernels.SKIP
    if category[0] == "Z" or category == "Cc":
        return kernels.SPACE
    if category in ("Sm", "Sc", "So"):
        return kernels.ALONE
    return kernels.PUNCTUATION if category[0] in "PS" else kernels.WORD
