"""Compiled loops of the guarded pass: they name the pairs to ask a guard about, and decide a block when it has answered."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from curate.dedupers.cosine_join.kernels import LANE, MARGIN, _largest, _rough_dot, true_cosine

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Classes = NDArray[np.uint64]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def pairs_in_tile(
    tile: Vectors,
    vectors: Vectors,
    classes: Classes,
    letters: Classes,
    chosen: Rows,
    rows: Rows,
    keepers: Rows,
    keeper_ranks: Rows,
    threshold: float,
    best: Vectors,
    best_rank: Rows,
    parted: Rows,
    lines: NDArray[np.int32],
    columns: NDArray[np.int32],
    cosines: Vectors,
) -> tuple[int, int, int]:
    """Name the pairs of a tile that may be better than what is known; see `kernels.scan` for the arguments that are its.

    Args:
        classes, letters: (n,) uint64; two rows of which both are known and different are parted.
        parted: (c,) int64, for each line the earliest place of a similar row that a class parts it from, -1 for none; updated.
        lines, columns, cosines: (c * k,) the pairs, filled.

    Returns:
        how many pairs were named, verified, and looked at.
    """
    floor = np.float32(threshold - MARGIN)
    count = compared = looked = 0
    for line in range(tile.shape[0]):
        at = chosen[line]
        row = rows[at]
        mine = classes[row]
        bounds = tile[line]
        for start in range(0, tile.shape[1], LANE):
            stop = min(start + LANE, tile.shape[1])
            if _largest(bounds[start:stop]) < floor:
                continue
            for column in range(start, stop):
                if bounds[column] < floor:
                    continue
                keeper, rank = keepers[column], keeper_ranks[column]
                apart = mine != 0 and classes[keeper] != 0 and mine != classes[keeper]
                apart = apart and letters[row] != letters[keeper]
                if apart and 0 <= parted[line] <= rank:
                    continue
                looked += 1
                rough = _rough_dot(vectors[row], vectors[keeper])
                if rough < threshold - MARGIN:
                    continue
                compared += 1
                if not apart and rough < best[at] - MARGIN:
                    continue
                cosine = true_cosine(vectors[row], vectors[keeper])
                if np.float64(cosine) < threshold:
                    continue
                if apart:
                    parted[line] = rank
                elif cosine > best[at] or (cosine == best[at] and rank < best_rank[at]):
                    lines[count], columns[count], cosines[count] = line, column, cosine
                    count += 1
    return count, compared, looked


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def pairs_in_block(
    tile: Vectors,
    vectors: Vectors,
    rows: Rows,
    threshold: float,
    lines: NDArray[np.int32],
    columns: NDArray[np.int32],
    cosines: Vectors,
) -> int:
    """Name the pairs of a block's rows, each with those before it, whose cosine reaches the threshold.

    Args:
        tile: (b, b) float32, upper bounds of the cosines among the block's rows.
        lines, columns, cosines: (b * b,) the pairs, filled; `lines` rise.

    Returns:
        how many there are.
    """
    floor = np.float32(threshold - MARGIN)
    count = 0
    for at in range(len(rows)):
        for earlier in range(at):
            if tile[at, earlier] < floor or _rough_dot(vectors[rows[at]], vectors[rows[earlier]]) < floor:
                continue
            cosine = true_cosine(vectors[rows[at]], vectors[rows[earlier]])
            if np.float64(cosine) >= threshold:
                lines[count], columns[count], cosines[count] = at, earlier, cosine
                count += 1
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def take_best(
    lines: NDArray[np.int32],
    ranks: Rows,
    cosines: Vectors,
    refused: NDArray[np.bool_],
    chosen: Rows,
    best: Vectors,
    best_rank: Rows,
    parted: Rows,
) -> None:
    """Take in the pairs of a tile that no guard refuses, and note the earliest that one does; see `pairs_in_tile`."""
    for pair in range(len(lines)):
        line, rank, cosine = lines[pair], ranks[pair], cosines[pair]
        at = chosen[line]
        if refused[pair]:
            if parted[line] < 0 or rank < parted[line]:
                parted[line] = rank
        elif cosine > best[at] or (cosine == best[at] and rank < best_rank[at]):
            best[at], best_rank[at] = cosine, rank


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def decide_block(
    lines: NDArray[np.int32],
    columns: NDArray[np.int32],
    cosines: Vectors,
    refused: NDArray[np.bool_],
    first_rank: int,
    best: Vectors,
    best_rank: Rows,
    kept: NDArray[np.bool_],
    parted: Rows,
) -> None:
    """Decide a block's rows in order, by the pairs among them; see `pairs_in_block` and `kernels.settle`."""
    pair = 0
    for at in range(len(kept)):
        while pair < len(lines) and lines[pair] == at:
            earlier, cosine = columns[pair], cosines[pair]
            if kept[earlier] and refused[pair]:
                if parted[at] < 0:
                    parted[at] = first_rank + earlier
            elif kept[earlier] and cosine > best[at]:
                best[at], best_rank[at] = cosine, first_rank + earlier
            pair += 1
        kept[at] = best_rank[at] < 0
