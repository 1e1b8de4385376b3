"""The statements of texts that were looked at, held in arrays that compiled code can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.dedupers.guards.kernels import judge_pairs, judge_spelling
from curate.dedupers.guards.lexicon import NEGATION, OPPOSITES
from curate.dedupers.guards.words import FACTS, Statement


class Statements:
    """Statements by place, in the order in which they were added; words are numbered as they first come."""

    def __init__(self) -> None:
        self._numbers = dict[str, int]()
        self._words = _Growing(np.int32)
        self._starts = _Growing(np.int64)
        self._letters = _Growing(np.uint32)
        self._ends = _Growing(np.int64)
        self._bags = _Growing(np.uint64, len(FACTS))
        self._sequences = _Growing(np.uint64, len(FACTS))
        self._odd = _Growing(np.uint64)
        self._kinds = _Growing(np.uint8)
        self._streams = _Growing(np.uint32)
        self._runs = _Growing(np.int64)
        self._letters_of = _Growing(np.uint64)
        self._runs.extend([0])
        self._starts.extend([0])
        self._ends.extend([0])

    def __len__(self) -> int:
        return self._odd.size

    def add(self, statements: Sequence[Statement]) -> None:
        """Take statements in; they get the next places."""
        for statement in statements:
            self._words.extend([self._number(word) for word in statement.words])
            self._starts.extend([self._words.size])
            self._bags.extend([statement.bags])
            self._sequences.extend([statement.sequences])
            self._odd.extend([statement.odd])
            self._streams.extend(np.frombuffer(statement.stream.encode("utf-32-le", "surrogatepass"), np.uint32))
            self._runs.extend([self._streams.size])
            self._letters_of.extend([statement.letters])

    def _number(self, word: str) -> int:
        number = self._numbers.get(word)
        if number is None:
            number = self._numbers[word] = len(self._numbers)
            self._letters.extend([ord(letter) for letter in word])
            self._ends.extend([self._letters.size])
            self._kinds.extend([1 if word in NEGATION else 2 if word in OPPOSITES else 0])
        return number

    def judge(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.uint8]:
        """How the words of pairs differ, by place; see `kernels.compare_words`."""
        out = np.empty(len(left), np.uint8)
        tables = (self._words.array, self._starts.array, self._sequences.array, self._letters.array, self._ends.array)
        judge_pairs(left, right, *tables, out)
        return out

    def misspelt(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which pairs differ by slips of the keyboard only, by place; see `kernels.judge_spelling`."""
        out = np.zeros(len(left), np.bool_)
        tables = (self._words.array, self._starts.array, self._streams.array, self._runs.array, self._kinds.array)
        judge_spelling(left, right, *tables, out)
        return out

    @property
    def letters(self) -> NDArray[np.uint64]:
        """(t,) digests of the letters, whatever their order."""
        return self._letters_of.array

    @property
    def bags(self) -> NDArray[np.uint64]:
        """(t, kinds) digests of the facts, whatever their order."""
        return self._bags.array

    @property
    def sequences(self) -> NDArray[np.uint64]:
        """(t, kinds) digests of the facts in their order."""
        return self._sequences.array

    @property
    def odd(self) -> NDArray[np.uint64]:
        """(t,) digests of what is outside ASCII."""
        return self._odd.array


class _Growing:
    """An array that doubles when it is full."""

    def __init__(self, kind: type, width: int | None = None) -> None:
        shape = 256 if width is None else (256, width)
        self._held: NDArray = np.empty(shape, kind)  # type: ignore[type-arg]
        self.size = 0

    @property
    def array(self) -> NDArray:  # type: ignore[type-arg]
        return self._held[: self.size]

    def extend(self, values: Sequence[object] | NDArray[Any]) -> None:
        more = self.size + len(values)
        if more > len(self._held):
            larger = np.empty((max(more, 2 * len(self._held)), *self._held.shape[1:]), self._held.dtype)
            larger[: self.size] = self._held[: self.size]
            self._held = larger
        if len(values):
            self._held[self.size : more] = values
        self.size = more
