"""Which contents are dropped in favour of which: what a judgement finds, as arrays and as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


_TIE_BYTES = 25


@dataclass(frozen=True, slots=True)
class Ties:
    """Contents that are dropped, by content number.

    Attributes:
        keeper: (u,) int64, the content that stands for it, or -1.
        similarity: (u,) float64 to it; 1 where there is none.
        method: (u,) int8, position among the near-duplicate methods.
    """

    keeper: NDArray[np.int64]
    similarity: NDArray[np.float64]
    method: NDArray[np.int8]

    @classmethod
    def none(cls, count: int) -> Ties:
        """Nothing is dropped."""
        return cls(np.full(count, -1, np.int64), np.ones(count), np.zeros(count, np.int8))

    def copy(self) -> Ties:
        """The same, in arrays of its own."""
        return Ties(self.keeper.copy(), self.similarity.copy(), self.method.copy())

    def extended(self, count: int) -> Ties:
        """The same for the first contents of `count`; the others are not dropped."""
        longer = Ties.none(count)
        for mine, theirs in zip(self._arrays(), longer._arrays(), strict=True):
            theirs[: len(mine)] = mine
        return longer

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.keeper, self.similarity, self.method

    def to_bytes(self) -> bytes:
        """Those that are dropped, all arrays one after the other: 25 bytes each."""
        tied = np.flatnonzero(self.keeper >= 0)
        return tied.tobytes() + b"".join(array[tied].tobytes() for array in self._arrays())

    @classmethod
    def from_bytes(cls, data: memoryview, count: int) -> Ties:
        """What `to_bytes` gave, for `count` contents.

        Raises:
            ValueError: it is of another length, or names others.
        """
        if len(data) % _TIE_BYTES:
            raise ValueError(f"{len(data)} bytes are no ties")
        size = len(data) // _TIE_BYTES
        tied, keeper = np.frombuffer(data, np.int64, size), np.frombuffer(data, np.int64, size, 8 * size)
        if size and not (min(tied.min(), keeper.min()) >= 0 and max(tied.max(), keeper.max()) < count):
            raise ValueError(f"they name others than {count} contents")
        ties = cls.none(count)
        ties.keeper[tied] = keeper
        ties.similarity[tied] = np.frombuffer(data, np.float64, size, 16 * size)
        ties.method[tied] = np.frombuffer(data, np.int8, size, 24 * size)
        return ties
