"""192-bit codes of perceptual vectors, whole, cropped and halved, and a hash index of them that grows as rows are kept.

A crop of up to 6 % at each edge turns few bits of the code that the other picture has after the same crop, roughly; a watermark
turns many bits of the whole, but hardly any of the half that it does not touch. A code is the signs of the lowest waves, dealt
out to three words; the lowest 24 of a word are a key. Two codes are near if, in some word, the keys differ only in bits
that are weak in the first picture (its faintest waves: those are what an edit turns), and if the codes differ in few bits.
So an index answers by looking up every variation of the weak bits (multi-probe hashing after Lv et al. 2007): what it finds is
exactly what `near` says, and the cost of a question hardly grows with the number of rows.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from curate.dedupers.thumbnail_join.waves import WAVES, Tables, grey_scale, side_crop

WORDS = 3
KEY_BITS = 24
KEY = (1 << KEY_BITS) - 1
SIDE = 16
"""The 192 lowest waves but the mean lie in a square of so many."""
FAINT = 0.05
"""A wave weaker than this, in grey levels, sets no bit, so that all plain pictures share a code and are compared."""
FARTHEST = 48, 36
"""Two codes that are near differ in at most so many of their 192 bits, and in fewer if the new picture is tiny."""
VIEWS = (
    (0, 0, 0, 0),
    (0, 0, 0, 0.5),
    (0, 0, 0.5, 0),
    (0.03, 0.03, 0.03, 0.03),
    (0.06, 0.06, 0.06, 0.06),
    (0.05, 0.01, 0.03, 0.03),
    (0.01, 0.05, 0.03, 0.03),
    (0.03, 0.03, 0.05, 0.01),
    (0.03, 0.03, 0.01, 0.05),
)
"""What is coded of each picture: the share cut at the left, right, top and bottom."""
WEAK = (6, 6, 6, 5, 5, 5, 5, 5, 5)
"""How many bits of a key count as weak, by view; 2 to that power are looked up."""
_MOST_PROBES = (1 << max(WEAK)) + 1
TABLES = ((0, 3, 4, 5, 6, 7, 8), (1,), (2,), (0,))
"""The views of kept pictures that lie in each table of the index."""
JOINS = ((0, 0), (1, 1), (2, 2), *((view, 3) for view in range(3, 9)))
"""(view of the new picture, table): a kept picture near in any is verified."""
UNCROPPED = 3
"""The joins that lead compare whole pictures and halves; a tiny picture needs no other, for its crops are never verified."""
_ENTRIES = tuple((table, view) for table, views in enumerate(TABLES) for view in views)
_LEAST_HEADS, _MOST_HEADS = 12, KEY_BITS


class Codes(NamedTuple):
    """Codes of m pictures."""

    words: NDArray[np.uint64]
    """(m, len(VIEWS), WORDS)"""
    weak: NDArray[np.uint32]
    """(m, len(VIEWS), WORDS) which bits of each key are weak."""


class Index(NamedTuple):
    """Kept pictures, numbered in the order that they were added, in chained hash tables."""

    words: NDArray[np.uint64]
    """(m, len(VIEWS), WORDS)"""
    heads: NDArray[np.int64]
    """(len(TABLES), WORDS, 2^k): 1 + the node that leads the chain, or 0; node = number · views of the table + place."""
    present: NDArray[np.uint64]
    """(len(TABLES), WORDS, 2^24 / 64): a bit for each key that is there; most questions end here, in the processor's cache."""
    links: NDArray[np.int64]
    """(m, len(_ENTRIES), WORDS): 1 + the next node of the chain, or 0."""
    entries: NDArray[np.int64]
    """(len(_ENTRIES), 4): table, view, place in the table, views of the table."""
    joins: NDArray[np.int64]
    """(len(JOINS), 3): view of the new picture, table, first entry of the table."""


@cache
def wave_order() -> NDArray[np.int64]:
    """(WORDS, 64) the wave of each bit, its vertical number · SIDE + the horizontal one, the lowest waves first."""
    waves = sorted((y * y + x * x, y, x) for y in range(SIDE) for x in range(SIDE) if y + x)
    return np.array([y * SIDE + x for _, y, x in waves[: WORDS * 64]]).reshape(64, WORDS).T.copy()


@cache
def _insides() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What turns waves into those of every view: (views, WAVES, SIDE) across, and (views, SIDE, WAVES) down."""
    across = np.stack([side_crop(left, right)[:SIDE].T for left, right, _, _ in VIEWS])
    down = np.stack([side_crop(top, bottom)[:SIDE] for _, _, top, bottom in VIEWS])
    return np.ascontiguousarray(across), np.ascontiguousarray(down)


@njit(cache=True, nogil=True)
def _weakest(strength, count):  # type: ignore[no-untyped-def]
    """The mask of the `count` least strengths, which are spoilt."""
    mask = np.uint32(0)
    for _ in range(count):
        at, least = 0, np.float32(np.inf)
        for bit in range(KEY_BITS):
            if strength[bit] < least:
                at, least = bit, strength[bit]
        strength[at] = np.inf
        mask |= np.uint32(1) << np.uint32(at)
    return mask


@njit(cache=True, nogil=True)
def _codes(vectors, across, down, unweight, order, weak_bits, words, weak):  # type: ignore[no-untyped-def]
    views, luma, strength = down.shape[0], np.empty((WAVES, WAVES), np.float32), np.empty(KEY_BITS, np.float32)
    for row in range(vectors.shape[0]):
        scale = np.float32(grey_scale(vectors[row]))
        for i in range(WAVES):
            for j in range(WAVES):
                luma[i, j] = vectors[row, i * WAVES + j] * unweight[i, j] * scale
        for view in range(views):
            waves = np.dot(down[view], np.dot(luma, across[view])).ravel()
            for word in range(WORDS):
                code = np.uint64(0)
                for bit in range(64):
                    code |= np.uint64(waves[order[word, bit]] > FAINT) << np.uint64(bit)
                for bit in range(KEY_BITS):
                    strength[bit] = abs(waves[order[word, bit]])
                words[row, view, word] = code
                weak[row, view, word] = _weakest(strength, weak_bits[view])


def codes(vectors: NDArray[np.float32], table: Tables) -> Codes:
    """Codes of (m, WIDTH) vectors."""
    shape = len(vectors), len(VIEWS), WORDS
    made = Codes(np.empty(shape, np.uint64), np.empty(shape, np.uint32))
    contiguous = np.ascontiguousarray(vectors)
    _codes(contiguous, *_insides(), table.unweight, wave_order(), np.array(WEAK), made.words, made.weak)
    return made


@intrinsic  # type: ignore[untyped-decorator]
def bit_count(_context: Any, word: Any) -> Any:
    """How many bits of a uint64 are set: one instruction, and one that vectorises."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate if isinstance(word, types.Integer) else None


@njit(cache=True, nogil=True, inline="always")
def _apart(a, b):  # type: ignore[no-untyped-def]
    return bit_count(a[0] ^ b[0]) + bit_count(a[1] ^ b[1]) + bit_count(a[2] ^ b[2])


@njit(cache=True, nogil=True)
def near(words, weak, kept, index, tiny):  # type: ignore[no-untyped-def]
    """Whether the picture of the codes `words` and `weak` (views, WORDS) is near the kept one of `kept` in a join."""
    farthest = np.uint64(FARTHEST[1] if tiny else FARTHEST[0])
    for number in range(UNCROPPED if tiny else len(index.joins)):
        view, first = index.joins[number, 0], index.joins[number, 2]
        for entry in range(first, first + index.entries[first, 3]):
            other = kept[index.entries[entry, 1]]
            for word in range(WORDS):
                difference = np.uint32((words[view, word] ^ other[word]) & np.uint64(KEY))
                if difference & ~weak[view, word] == 0:
                    if _apart(words[view], other) <= farthest:
                        return True
                    break
    return False


def _head_bits(rows: int) -> int:
    return min(max((2 * rows).bit_length(), _LEAST_HEADS), _MOST_HEADS)


def bytes_a_row(threads: int) -> int:
    """What an index and the work space of so many threads take for each row, at most: heads, links, words, found rows."""
    return 4 * len(TABLES) * WORDS * 4 + 4 * len(_ENTRIES) * WORDS + 8 * len(VIEWS) * WORDS + 12 * threads


FIXED_BYTES = len(TABLES) * WORDS * (KEY + 1) // 8
"""What an index takes besides."""


def empty_index(rows: int) -> Index:
    """An index that takes up to so many rows, at most 2³¹ / 7."""
    return Index(
        heads=np.zeros((len(TABLES), WORDS, 1 << _head_bits(rows)), np.int32),
        present=np.zeros((len(TABLES), WORDS, (KEY + 1) // 64), np.uint64),
        links=np.empty((rows, len(_ENTRIES), WORDS), np.int32),
        words=np.empty((rows, len(VIEWS), WORDS), np.uint64),
        entries=np.array([(table, view, TABLES[table].index(view), len(TABLES[table])) for table, view in _ENTRIES]),
        joins=np.array([(view, table, [t for t, _ in _ENTRIES].index(table)) for view, table in JOINS]),
    )


@njit(cache=True, nogil=True, inline="always")
def _slot(key, heads):  # type: ignore[no-untyped-def]
    """Where a key's chain begins: a multiplicative hash down to the size of the table."""
    return np.int64(((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & np.uint64(heads - 1))


@njit(cache=True, nogil=True)
def insert(index, number, words):  # type: ignore[no-untyped-def]
    """Add the codes (views, WORDS) of the kept picture of this number."""
    index.words[number] = words
    heads = index.heads.shape[2]
    for entry in range(len(index.entries)):
        table, view, place, views = index.entries[entry]
        for word in range(WORDS):
            key = words[view, word] & np.uint64(KEY)
            index.present[table, word, key >> np.uint64(6)] |= np.uint64(1) << (key & np.uint64(63))
            slot = _slot(key, heads)
            index.links[number, entry, word] = index.heads[table, word, slot]
            index.heads[table, word, slot] = number * views + place + 1


@njit(cache=True, nogil=True)
def candidates(words, weak, index, tiny, seen, stamp, found):  # type: ignore[no-untyped-def]
    """Write the number of each indexed picture that is `near` to `found`, unless `seen` holds `stamp` there; how many."""
    count, heads, farthest = 0, index.heads.shape[2], np.uint64(FARTHEST[1] if tiny else FARTHEST[0])
    keys = np.empty(_MOST_PROBES, np.uint64)
    for join in range(UNCROPPED if tiny else len(index.joins)):
        view, table, first = index.joins[join]
        views, code = index.entries[first, 3], words[view]
        for word in range(WORDS):
            own, mask = code[word] & np.uint64(KEY), np.uint64(weak[view, word])
            flips, probes = mask, np.int64(0)
            # Presence is read in a loop of its own, without a branch on it, so that many reads are under way at once.
            while True:
                key = own ^ flips
                keys[probes] = key
                probes += np.int64((index.present[table, word, key >> np.uint64(6)] >> (key & np.uint64(63))) & np.uint64(1))
                if flips == 0:
                    break
                flips = (flips - np.uint64(1)) & mask
            for key in keys[:probes]:
                node = np.int64(index.heads[table, word, _slot(key, heads)]) - 1
                while node >= 0:
                    number, place = node // views, node % views
                    entry = first + place
                    other = index.words[number, index.entries[entry, 1]]
                    if other[word] & np.uint64(KEY) == key and seen[number] != stamp and _apart(code, other) <= farthest:
                        seen[number] = stamp
                        found[count] = number
                        count += 1
                    node = np.int64(index.links[number, entry, word]) - 1
    return count
