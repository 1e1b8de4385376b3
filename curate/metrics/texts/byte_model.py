"""A language model that is counted in a second: bytes given the five before, Witten-Bell interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ORDER = 5
_UNIFORM = 1 / 256


class ByteModel:
    """P(byte | up to 5 bytes before), interpolated over all shorter contexts down to the uniform one.

    A text begins after five NUL bytes and ends with one, so its end is predicted too.

    Source: Witten and Bell 1991, doi:10.1109/18.87000 (method C): a context seen N times with T different continuations gives
    the weight T / (N + T) to the shorter context.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._tables = []
        symbols, predicted, _ = _stream(texts)
        for order in range(ORDER + 1):
            grams, counts = np.unique(_keys(symbols, order)[predicted], return_counts=True)
            contexts, first, kinds = np.unique(grams >> np.uint64(8), return_index=True, return_counts=True)
            totals = np.add.reduceat(counts, first) if len(counts) else counts
            self._tables.append((grams, counts, contexts, totals, kinds))

    def bits(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(n,) bits that the model needs for each text with its end, and (n,) its UTF-8 bytes."""
        symbols, predicted, sizes = _stream(texts)
        likely = np.full(int(predicted.sum()), _UNIFORM)
        for order, (grams, counts, contexts, totals, kinds) in enumerate(self._tables):
            keys = _keys(symbols, order)[predicted]
            seen = _look_up(grams, counts, keys)
            total, different = (_look_up(contexts, values, keys >> np.uint64(8)) for values in (totals, kinds))
            known = total > 0
            likely[known] = (seen[known] + different[known] * likely[known]) / (total[known] + different[known])
        starts = np.concatenate([[0], np.cumsum(sizes + 1)])[:-1]
        spent = -np.log2(likely)
        return (np.add.reduceat(spent, starts) if len(starts) else np.zeros(0)), sizes


def _stream(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.int64]]:
    """All bytes with ORDER NULs before and one after each text; which of them are predicted; and the texts' sizes."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    joined = b"".join(b"\0" * ORDER + piece + b"\0" for piece in encoded)
    sizes = np.array([len(piece) for piece in encoded], np.int64)
    predicted = np.ones(len(joined), bool)
    begins = np.concatenate([[0], np.cumsum(sizes + ORDER + 1)])[:-1].astype(np.int64)
    predicted[(begins[:, None] + np.arange(ORDER)).reshape(-1)] = False
    return np.frombuffer(joined, np.uint8).astype(np.uint64), predicted, sizes


def _keys(symbols: NDArray[np.uint64], order: int) -> NDArray[np.uint64]:
    """(n,) each byte and the `order` ones before it in one number."""
    keys = symbols.copy()
    for back in range(1, order + 1):
        keys[back:] |= symbols[:-back] << np.uint64(8 * back)
    return keys


def _look_up(known: NDArray[np.uint64], values: NDArray[np.int64], keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """The value of each key, 0 where it is not known."""
    if not len(known):
        return np.zeros(len(keys))
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, values[place], 0).astype(np.float64)
