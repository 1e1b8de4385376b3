"""Compiled: how the words of two texts differ."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ids = NDArray[np.int32]

EDITED, REWORDED, REORDERED = 0, 1, 2
"""The same words up to slips and one left out; other words; the same words in an order that may mean something else."""

_LEAST_TYPO = 4
_LEAST_REPLACED = 8
_LEAST_OMITTED = 7
_WORDS_AN_OMISSION = 20
_WORDS_A_TYPO = 8
_LEAST_SWAPPED = 4
_LEAST_ROTATED = 6
_FEW = 2


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_slip(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> bool:
    """Whether two words of letters differ by a letter left out, two neighbours exchanged, or, in long words, another one."""
    long, short = (left, right) if len(left) >= len(right) else (right, left)
    if len(short) < _LEAST_TYPO or len(long) - len(short) > 1 or long[0] != short[0]:
        return False
    for letter in long:
        if 48 <= letter <= 57:
            return False
    at = 0
    while at < len(short) and long[at] == short[at]:
        at += 1
    if len(long) > len(short):
        return np.array_equal(long[at + 1 :], short[at:])
    if at + 1 < len(long) and long[at] == short[at + 1] and long[at + 1] == short[at]:
        return np.array_equal(long[at + 2 :], short[at + 2 :])
    return len(long) >= _LEAST_REPLACED and np.array_equal(long[at + 1 :], short[at + 1 :])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _only(left: Ids, right: Ids) -> Ids:
    """The ids of `left` that `right` has not, each as often as it has it more; both sorted."""
    out = np.empty(len(left), np.int32)
    count = j = 0
    for i in range(len(left)):
        while j < len(right) and right[j] < left[i]:
            j += 1
        if j < len(right) and right[j] == left[i]:
            j += 1
        else:
            out[count] = left[i]
            count += 1
    return out[:count]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _without(words: Ids, gone: Ids) -> Ids:
    """The words without one occurrence of each in `gone`, the earliest."""
    used = np.zeros(len(gone), np.bool_)
    out = np.empty(len(words), np.int32)
    count = 0
    for word in words:
        found = False
        for at in range(len(gone)):
            if not used[at] and gone[at] == word:
                used[at] = found = True
                break
        if not found:
            out[count] = word
            count += 1
    return out[:count]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_within(short: Ids, long: Ids) -> bool:
    """Whether `long` has the words of `short` in their order, with others between."""
    at = 0
    for word in long:
        if at < len(short) and short[at] == word:
            at += 1
    return at == len(short)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _same_order(left: Ids, right: Ids, may_swap: bool) -> bool:
    """Whether two orders of the same words are equal, but for two neighbours exchanged, or the halves."""
    count = len(left)
    if count != len(right):
        return False
    at = 0
    while at < count and left[at] == right[at]:
        at += 1
    if at == count:
        return True
    swapped = at + 1 < count and left[at] == right[at + 1] and left[at + 1] == right[at]
    if may_swap and swapped and count >= _LEAST_SWAPPED and np.array_equal(left[at + 2 :], right[at + 2 :]):
        return True
    if count >= _LEAST_ROTATED:
        for start in range(1, count):
            meets = left[start] == right[0] and np.array_equal(left[start:], right[: count - start])
            if meets and np.array_equal(left[:start], right[count - start :]):
                return True
    return False


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def compare_words(left: Ids, right: Ids, may_swap: bool, letters: NDArray[np.uint32], ends: NDArray[np.int64]) -> int:
    """How two texts of word numbers differ: EDITED, REWORDED or REORDERED.

    Args:
        may_swap: whether two neighbours may have changed places.
        letters, ends: the code points of all words, one after the other, and where each word's end.
    """
    if np.array_equal(left, right):
        return EDITED
    lefts, rights = np.sort(left), np.sort(right)
    mine, yours = _only(lefts, rights), _only(rights, lefts)
    least = min(len(left), len(right))
    slips = 1 + least // _WORDS_A_TYPO
    if min(len(mine), len(yours)) > slips + _FEW:
        return REWORDED
    right = right.copy()
    slipped = 0
    gone_mine, gone_yours = np.zeros(len(mine), np.bool_), np.zeros(len(yours), np.bool_)
    for i in range(len(mine)):
        for j in range(len(yours)):
            a, b = mine[i], yours[j]
            if not gone_yours[j] and _is_slip(letters[ends[a] : ends[a + 1]], letters[ends[b] : ends[b + 1]]):
                gone_mine[i] = gone_yours[j] = True
                slipped += 1
                for at in range(len(right)):
                    if right[at] == b:
                        right[at] = a
                        break
                break
    mine, yours = mine[~gone_mine], yours[~gone_yours]
    differing = len(mine) + len(yours)
    if differing > max(_FEW, 1 + least // _WORDS_AN_OMISSION):
        return REWORDED
    edited = slipped <= slips and (len(mine) == 0 or len(yours) == 0)
    edited &= differing == 0 or (least >= _LEAST_OMITTED and differing <= 1 + least // _WORDS_AN_OMISSION)
    if edited and (_is_within(right, left) or _is_within(left, right)):
        return EDITED
    if not _same_order(_without(left, mine), _without(right, yours), may_swap):
        return REORDERED
    return EDITED if edited else REWORDED


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def judge_pairs(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    words: Ids,
    starts: NDArray[np.int64],
    sequences: NDArray[np.uint64],
    letters: NDArray[np.uint32],
    ends: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """`compare_words` of pairs of texts, by their places (p,).

    Args:
        words: the word numbers of all texts, one text after the other; `starts` (t + 1,) where each begins.
        sequences: (t, kinds) digests of the facts in their order.
    """
    for at in range(len(left)):
        a, b = left[at], right[at]
        may_swap = True
        for kind in range(sequences.shape[1]):
            may_swap &= sequences[a, kind] == sequences[b, kind]
        out[at] = compare_words(words[starts[a] : starts[a + 1]], words[starts[b] : starts[b + 1]], may_swap, letters, ends)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_misspelt(left: NDArray[np.uint32], right: NDArray[np.uint32], most: int) -> int:
    """How often neighbours must be exchanged to make one run of letters of the other; -1 for over `most`, or for digits."""
    if len(left) != len(right):
        return -1
    at = swaps = 0
    while at < len(left):
        if left[at] == right[at]:
            at += 1
            continue
        if at + 1 == len(left) or left[at] != right[at + 1] or left[at + 1] != right[at]:
            return -1
        if 48 <= left[at] <= 57 or 48 <= left[at + 1] <= 57:
            return -1
        at += 2
        swaps += 1
        if swaps > most:
            return -1
    return swaps


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def judge_spelling(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    words: Ids,
    starts: NDArray[np.int64],
    streams: NDArray[np.uint32],
    runs: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    out: NDArray[np.bool_],
) -> None:
    """Whether pairs of texts differ by spaces and exchanged neighbours only, which make no other fact of a fact.

    Args:
        streams, runs: the runs of letters of all texts, and where each begins.
        kinds: of each word: 0 for no fact, 1 for one that denies, 2 for another.
    """
    for at in range(len(left)):
        a, b = left[at], right[at]
        mine, yours = words[starts[a] : starts[a + 1]], words[starts[b] : starts[b + 1]]
        swaps = _is_misspelt(
            streams[runs[a] : runs[a + 1]], streams[runs[b] : runs[b + 1]], 1 + min(len(mine), len(yours)) // _WORDS_A_TYPO
        )
        out[at] = swaps >= 0
        if swaps < 0:
            continue
        mine, yours = np.sort(mine), np.sort(yours)
        gone, come = _only(mine, yours), _only(yours, mine)
        lost = made = denies = False
        for word in gone:
            lost |= kinds[word] > 0
            denies |= kinds[word] == 1
        for word in come:
            made |= kinds[word] > 0
            denies |= kinds[word] == 1
        out[at] = not (lost and made) and not (swaps == 0 and denies)
