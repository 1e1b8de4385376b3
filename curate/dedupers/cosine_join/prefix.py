"""Short vectors whose dot product is never below the cosine of the long ones: what lets a join skip most pairs.

After a rotation to principal axes, `width - 1` leading coordinates and the length of the rest bound the dot product from above
(Cauchy-Schwarz on the rest). Most of a text embedding's length lies in few axes, so the bound rules out nearly every pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.dedupers.cosine_join.kernels import MARGIN, UNIT_TOLERANCE
from curate.errors import SettingError
from curate.spill.residency import Residency

SAMPLE_ROWS = (4_096, 16_384)
PAIR_SAMPLE_ROWS = (768, 1_536)
LEAST_SAMPLE_ROWS = 2_048
"""So many however little memory there is; else the sample takes a quarter of it at most."""
MANY_PAIRS = 10**9
"""From so many pairs on the larger samples pay."""
WIDTHS = (16, 24, 32, 48, 64, 96, 128, 192)
REST_SLACK = 2e-6
"""Added under the root of the rest's length, so that float32 cancellation cannot make the bound too low."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a vector is shortened.

    Attributes:
        axes: (d, width - 1) float32 orthonormal columns, or None where the whole vector is short enough.
        width: columns of a shortened vector.
    """

    axes: NDArray[np.float32] | None
    width: int

    def shorten(self, vectors: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the shortened form of (b, d) vectors to `out` (b, width)."""
        if self.axes is None:
            out[:] = vectors
            return
        np.matmul(vectors, self.axes, out=out[:, :-1])
        squares = np.einsum("bd,bd->b", vectors, vectors) - np.einsum("bw,bw->b", out[:, :-1], out[:, :-1])
        out[:, -1] = np.sqrt(np.maximum(squares, 0) + REST_SLACK)


def check_unit(vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
    """Refuse rows that are not of length 1, which would make the threshold mean something else.

    Raises:
        SettingError: one of `rows` is not.
    """
    block = vectors[rows]
    lengths = np.sqrt(np.einsum("bd,bd->b", block, block))
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= UNIT_TOLERANCE))
    if len(wrong):
        raise SettingError(
            f"vectors must have length 1, but row {rows[wrong[0]]} has {lengths[wrong[0]]:.6g}", hint="embed the dataset again"
        )


def choose_rotation(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], threshold: float, *, pairs: int, residency: Residency
) -> Rotation:
    """Choose the width at which pruning and verifying `pairs` pairs cost least together, from a sample of `rows`."""
    many = int(pairs >= MANY_PAIRS)
    dimension = vectors.shape[1]
    if dimension <= WIDTHS[0]:
        return Rotation(None, dimension)
    most = min(len(rows), SAMPLE_ROWS[many], max(residency.memory_bytes // (16 * dimension), LEAST_SAMPLE_ROWS))
    sample = _gathered(vectors, rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)], residency)
    moments = (sample.T @ sample).astype(np.float64)
    axes = np.ascontiguousarray(np.linalg.eigh(moments)[1][:, ::-1].astype(np.float32))
    few = sample[np.linspace(0, len(sample) - 1, min(len(sample), PAIR_SAMPLE_ROWS[many])).astype(np.int64)]
    best = Rotation(None, dimension)
    lowest = _cost(dimension, dimension, _pass_rate(few @ few.T, threshold))
    for width in WIDTHS:
        if width >= dimension:
            break
        rotation = Rotation(np.ascontiguousarray(axes[:, : width - 1]), width)
        short = np.empty((len(few), width), np.float32)
        rotation.shorten(few, short)
        cost = _cost(width, dimension, _pass_rate(short @ short.T, threshold))
        if cost < lowest:
            best, lowest = rotation, cost
    return best


def _gathered(vectors: NDArray[np.float32], rows: NDArray[np.int64], residency: Residency) -> NDArray[np.float32]:
    """(k, d) copies of some rows, read a few at a time where they lie in a file."""
    out = np.empty((len(rows), vectors.shape[1]), np.float32)
    step = residency.block(max(1, len(rows)))
    for low in range(0, len(rows), step):
        out[low : low + step] = vectors[rows[low : low + step]]
        residency.ease()
    return out


def _pass_rate(bounds: NDArray[np.float32], threshold: float) -> float:
    """Share of distinct pairs that a prefix cannot rule out."""
    count = len(bounds)
    return (np.count_nonzero(bounds >= threshold - MARGIN) - count) / max(1, count * (count - 1))


def _cost(width: int, dimension: int, pass_rate: float) -> float:
    """Rough cycles a pair: the product, the scan, and the check of those that pass (with a cache miss)."""
    return width / 16 + 2 + pass_rate * (100 + dimension / 3)
