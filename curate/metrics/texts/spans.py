"""The longest span that a text shares with a corpus, exactly, by a suffix array over both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_END = 0x110000  # above every code point


def longest_spans(texts: Sequence[str], corpus: Sequence[str]) -> NDArray[np.int64]:
    """(n,) characters of the longest substring of each text that stands in some text of the corpus."""
    if not texts or not corpus:
        return np.zeros(len(texts), np.int64)
    symbols, starts = _joined([*corpus, *texts])
    ranks = _ranks(symbols, longest=max(map(len, [*corpus, *texts])))
    boundary = int(starts[len(corpus)])
    order = np.empty(len(symbols), np.int64)
    order[ranks[-1]] = np.arange(len(symbols))  # the suffix array: the last ranks are all different
    from_corpus = order < boundary
    place = np.arange(len(order))
    before = np.maximum.accumulate(np.where(from_corpus, place, -1))
    after = np.minimum.accumulate(np.where(from_corpus, place, len(order))[::-1])[::-1]
    spans = np.zeros(len(symbols), np.int64)
    own = ~from_corpus
    for neighbour in (before[own], after[own]):
        there = (neighbour >= 0) & (neighbour < len(order))
        mine, theirs = order[own][there], order[neighbour[there]]
        spans[mine] = np.maximum(spans[mine], _common_prefix(ranks, mine, theirs))
    return np.maximum.reduceat(spans, starts[len(corpus) :])


def _joined(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Code points of all texts, each text ended by a symbol of its own; and where each begins."""
    pieces = [np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32) for text in texts]
    starts = np.concatenate([[0], np.cumsum([len(piece) + 1 for piece in pieces])])
    symbols = np.empty(starts[-1], np.int64)
    for row, piece in enumerate(pieces):
        symbols[starts[row] : starts[row + 1] - 1] = piece
    symbols[starts[1:] - 1] = _END + np.arange(len(texts))
    return symbols, starts[:-1]


def _ranks(symbols: NDArray[np.int64], longest: int) -> list[NDArray[np.int32]]:
    """The rank of every window of 1, 2, 4, … symbols; equal windows have equal ranks.

    The last windows reach over the end of the longest text, and so are all different (Manber and Myers 1993).
    """
    ranks = [np.unique(symbols, return_inverse=True)[1].astype(np.int32)]
    width = 1
    while width < longest + 1:
        last = ranks[-1]
        follow = np.zeros(len(last), np.int64)
        follow[:-width] = last[width:] + 1 if width < len(last) else 0
        keys = last.astype(np.int64) * (len(last) + 1) + follow
        ranks.append(np.unique(keys, return_inverse=True)[1].astype(np.int32))
        width *= 2
    return ranks


def _common_prefix(ranks: list[NDArray[np.int32]], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m,) how many symbols two suffixes share at their start."""
    shared = np.zeros(len(left), np.int64)
    size = len(ranks[0])
    for level in range(len(ranks) - 1, -1, -1):
        a, b = left + shared, right + shared
        inside = (a < size) & (b < size)
        same = np.zeros(len(left), bool)
        same[inside] = ranks[level][a[inside]] == ranks[level][b[inside]]
        shared[same] += 1 << level
    return shared
