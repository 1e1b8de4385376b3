"""Facts in texts by compiled code: a digest of the numbers, denials, signs and opposites of each, whatever their order.

Short texts of other facts are no copies of each other, however many shingles they share; see `curate.dedupers.guards`, whose
word lists these are. A text of `LONG` words or more has no digest: two pages that differ in a date are one page.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.dedupers.guards.lexicon import NEGATION, OPPOSITES
from curate.dedupers.shingling import kernels as kernels
from curate.dedupers.shingling.kernels import _MULTIPLIER, ALONE, SPACE, WORD, _decode, _mix, kernel

LONG = 300
"""Words from which on facts part no texts."""
MOSTLY_SIGNS = 0.5
"""Share of signs of scripts without spaces from which on a text counts as one of them."""

KINDS = ("numbers", "negation", "operators", "opposites")
_NUMBERS, _NEGATION, _OPERATORS, _OPPOSITES = 1, 2, 3, 4
_LETTER, _DIGIT, _SIGN, _UNSPACED = 0, 1, 2, 3
_SIGNS = "<>=+*%^|&~@#\\[]{}/"
_APOSTROPHES = (0x27, 0x2019)
_DASHES = (0x2D, 0x2010, 0x2011, 0x2013, 0x2212)
_SHORT_UNIT = 3


@kernel
def read_facts(data, offsets, classes, folds, roles, words, kinds, wanted, out, signs):  # type: ignore[no-untyped-def]
    """Digest the facts of each text.

    Args:
        data, offsets, classes, folds: as `kernels.sketch_rows` takes them.
        roles: (0x110000,) uint8: what of a letter, a digit, a sign, a sign of an unspaced script a code point is.
        words, kinds: an open table of the hashes of words that are facts, with the kind of each.
        wanted: (5,) bool, the kinds that count.
        out: (texts,) uint64, the digest; 0 for none, and for a long text.
        signs: (texts,) bool, whether most of a text is signs of a script without spaces.
    """
    mask = len(words) - 1
    for r in range(len(out)):
        total = np.uint64(0)
        tokens = unspaced = length = 0
        inside = digits = after_number = False
        word = _MULTIPLIER
        before = np.int64(32)
        i, end = offsets[r], offsets[r + 1]
        while i <= end:
            at_end = i == end
            point = np.int64(32)
            if at_end:
                i += 1
            elif data[i] < 0x80:
                point = np.int64(data[i])
                i += 1
                if 65 <= point <= 90:
                    point += 32
            else:
                point, i = _decode(data, i)
                if folds[point] != 0:
                    point = np.int64(folds[point])
            role, kind = roles[point], classes[point]
            following = np.int64(data[i]) if i < end else np.int64(32)
            if kind == WORD and role != _UNSPACED:
                word = (word ^ np.uint64(point)) * _MULTIPLIER
                inside = True
                length += 1
                digits |= role == _DIGIT
                before = point
                continue
            if inside:
                if (point == 0x27 or point == 0x2019) and following > 32:
                    continue
                if (point == 0x2D or point == 0x2010 or point == 0x2011 or point == 0x2013) and following > 32:
                    before = point
                    continue
                if (point == 0x2E or point == 0x2C or point == 0x3A) and 48 <= before <= 57 and 48 <= following <= 57:
                    thousands = point == 0x2C and i + 3 <= end and 48 <= data[i + 1] <= 57 and 48 <= data[i + 2] <= 57
                    if not thousands:
                        word = (word ^ np.uint64(0x2E)) * _MULTIPLIER
                    continue
                tokens += 1
                value = _mix(word)
                if wanted[_NUMBERS] and (digits or (after_number and length <= _SHORT_UNIT)):
                    total += _mix(value ^ np.uint64(_NUMBERS))
                after_number = digits
                slot = np.int64(value & np.uint64(mask))
                while words[slot] != 0:
                    if words[slot] == value:
                        if wanted[kinds[slot]]:
                            total += _mix(value ^ np.uint64(kinds[slot]))
                        break
                    slot = (slot + 1) & mask
                inside = digits = False
                word = _MULTIPLIER
                length = 0
            if at_end:
                break
            if role == _UNSPACED:
                tokens += 1
                unspaced += 1
                value = _mix((_MULTIPLIER ^ np.uint64(point)) * _MULTIPLIER)
                slot = np.int64(value & np.uint64(mask))
                while words[slot] != 0:
                    if words[slot] == value:
                        if wanted[kinds[slot]]:
                            total += _mix(value ^ np.uint64(kinds[slot]))
                        break
                    slot = (slot + 1) & mask
            sign = role == _SIGN
            sign |= point == 0x21 and following == 0x3D
            sign |= (point == 0x2D or point == 0x2212) and 48 <= following <= 57 and classes[before] == SPACE
            if point == 0x2F and not (48 <= before <= 57 or 48 <= following <= 57 or (before == 32 and following == 32)):
                sign = False
            if sign:
                tokens += 1
                if wanted[_OPERATORS]:
                    total += _mix(_mix(np.uint64(point)) ^ np.uint64(_OPERATORS))
            before = point
        signs[r] = unspaced > MOSTLY_SIGNS * max(tokens, 1)
        out[r] = total if tokens - unspaced + unspaced // 2 < LONG else np.uint64(0)


@cache
def fact_tables() -> tuple[NDArray[np.uint8], NDArray[np.uint64], NDArray[np.uint8]]:
    """`roles`, `words` and `kinds` for `read_facts`."""
    from curate.dedupers.shingling.shingles import _UNSPACED as blocks
    from curate.dedupers.shingling.shingles import _classes, _frozen

    classes = _classes("auto")
    roles = np.zeros(0x110000, np.uint8)
    unspaced = np.zeros(0x110000, np.bool_)
    for low, high in blocks:
        unspaced[low : high + 1] = True
    roles[unspaced & (_classes("words") == WORD)] = _UNSPACED
    roles[(classes == ALONE) & ~(roles == _UNSPACED)] = _SIGN
    roles[[point for point in range(0x1F000) if unicodedata.decimal(chr(point), None) is not None]] = _DIGIT
    roles[[ord(sign) for sign in _SIGNS]] = _SIGN
    numbered = [(word, _OPPOSITES) for word in OPPOSITES] + [(word, _NEGATION) for word in NEGATION]
    words = np.zeros(1 << (4 * len(numbered)).bit_length(), np.uint64)
    kinds = np.zeros(len(words), np.uint8)
    for word, kind in numbered:
        _put(words, kinds, _word_hash(word), kind)
    return _frozen(roles), _frozen(words), _frozen(kinds)


def _word_hash(word: str) -> int:
    """The hash that `kernels` give a token."""
    bits = 2**64 - 1
    value = int(_MULTIPLIER)
    for letter in word:
        value = ((value ^ ord(letter)) * int(_MULTIPLIER)) & bits
    return int(_mix(np.uint64(value)))


def _put(words: NDArray[np.uint64], kinds: NDArray[np.uint8], value: int, kind: int) -> None:
    slot = value & (len(words) - 1)
    while words[slot] and int(words[slot]) != value:
        slot = (slot + 1) & (len(words) - 1)
    words[slot], kinds[slot] = value, kind


def wanted_kinds(guards: frozenset[str]) -> NDArray[np.bool_]:
    """Which kinds count, by their number in `read_facts`."""
    return np.array([False, *(kind in guards for kind in KINDS)])


def facts_of(data: Any, offsets: Any, classes: Any, folds: Any, wanted: Any) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """(n,) the digest of each text, and whether it is mostly signs of a script without spaces."""
    out, signs = np.zeros(len(offsets) - 1, np.uint64), np.zeros(len(offsets) - 1, np.bool_)
    read_facts(data, offsets, classes, folds, *fact_tables(), wanted, out, signs)
    return out, signs
