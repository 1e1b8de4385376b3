"""What gates are shown: draws, and the real samples that they are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Real:
    """Real samples of some parts of a split.

    Attributes:
        vectors: (n, d) of length 1.
        labels: one a sample; None where it has none.
    """

    vectors: NDArray[np.float32]
    labels: Sequence[str | None]


@dataclass(frozen=True, eq=False)
class Reference:
    """What draws are held against.

    Attributes:
        embedder: which one made all vectors, for the report.
        train: what the model learned from; `held`: the validation and test parts of its split.
        accepted: (m, d) vectors of draws of this model that were accepted before.
        own_nearest: (k,) cosine of so many training samples to the nearest other one.
        held_nearest: (k,) cosine of the same to the nearest held-out one; empty where nothing was held out.
    """

    embedder: str
    train: Real
    held: Real
    accepted: NDArray[np.float32]
    own_nearest: NDArray[np.float32]
    held_nearest: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Draws:
    """A batch of draws, in the order in which they were made.

    Attributes:
        contents: texts or encoded images.
        conditions: what each was asked to be: {"label": "7"}.
        blank: whether the modality sees nothing in the content: a blank text, an image of one colour.
        vectors: (n, d); None for the gates that read contents alone.
        nearest_train, nearest_held: (n,) cosine to the nearest training and held-out sample, −1 where there is none; None where
            there are no vectors.
    """

    contents: Sequence[str | bytes]
    conditions: Sequence[Mapping[str, Any]]
    blank: Sequence[bool]
    vectors: NDArray[np.float32] | None = None
    nearest_train: NDArray[np.float32] | None = None
    nearest_held: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.contents)

    def take(self, rows: Sequence[int]) -> Draws:
        """Some of the draws, in this order."""
        arrays = (self.vectors, self.nearest_train, self.nearest_held)
        return Draws(
            [self.contents[row] for row in rows],
            [self.conditions[row] for row in rows],
            [self.blank[row] for row in rows],
            *(None if array is None else array[list(rows)] for array in arrays),
        )


@dataclass(frozen=True, eq=False)
class GateExample:
    """What a gate is tested with.

    Attributes:
        refused: the rows of `draws` that the gate refuses; it lets the others pass, of which there are some.
    """

    reference: Reference
    draws: Draws
    refused: tuple[int, ...]
