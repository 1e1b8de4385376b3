"""How well a threshold tells duplicates from others, measured on labelled pairs, with what the sample size can prove."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ERROR = 0.05  # one-sided: a bound holds in 95 of 100 samples
GRID = tuple(n / 200 for n in range(1, 201))


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold does to the pairs.

    Attributes:
        pairs: how many are at least that similar.
        same: how many of those are labelled the same.
        precision: same / pairs; None where there are none.
        precision_low: what the precision is at least, in 95 of 100 samples of this size.
        recall: the share of all pairs labelled the same that are found; None where there are none.
        recall_low: its lower bound, likewise.
        false_alarms: the share of all pairs labelled different that are called the same; None where there are none.
        false_alarms_high: its upper bound, likewise.
    """

    threshold: float
    pairs: int
    same: int
    precision: float | None
    precision_low: float
    recall: float | None
    recall_low: float
    false_alarms: float | None
    false_alarms_high: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The threshold to take.

    Attributes:
        threshold: None where no threshold parts the pairs.
        proven: whether the sample shows that its precision is at least the one that was asked for.
        why: one sentence.
    """

    threshold: float | None
    proven: bool
    why: str


def lower_bound(hits: int, trials: int, *, error: float = ERROR) -> float:
    """The share that lies under the true one in all but `error` of the samples: 0 where nothing was hit or tried.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934): the p at which so many
    hits or more have the probability `error`.
    """
    from scipy.special import betaincinv  # it comes with scikit-learn

    return float(betaincinv(hits, trials - hits + 1, error)) if hits and trials else 0.0


def pairs_needed(precision: float, *, error: float = ERROR) -> int:
    """How many pairs, all of them right, prove that a precision is at least this high."""
    return math.ceil(math.log(error) / math.log(precision))


def measure_curve(
    similarity: NDArray[np.float32], same: NDArray[np.bool_], thresholds: Sequence[float] = GRID
) -> tuple[Point, ...]:
    """Count, for each threshold, the pairs at or above it.

    Args:
        similarity: (m,) of each pair.
        same: (m,) whether it was labelled the same.
    """
    measured = np.asarray(similarity, np.float64)
    positives, negatives = int(same.sum()), int((~same).sum())
    points = []
    for threshold in thresholds:
        above = measured >= threshold
        found, alarms = int((above & same).sum()), int((above & ~same).sum())
        points.append(
            Point(
                threshold=threshold,
                pairs=found + alarms,
                same=found,
                precision=found / (found + alarms) if found + alarms else None,
                precision_low=lower_bound(found, found + alarms),
                recall=found / positives if positives else None,
                recall_low=lower_bound(found, positives),
                false_alarms=alarms / negatives if negatives else None,
                false_alarms_high=1 - lower_bound(negatives - alarms, negatives),
            )
        )
    return tuple(points)


def recommend(curve: Sequence[Point], *, precision: float, floor: float | None) -> Recommendation:
    """Choose the lowest threshold whose precision is proven, and which no higher one falls short of.

    Where the sample is too small to prove any, the lowest above which every pair is labelled the same. Never one under `floor`:
    pairs that are labelled different but were not chosen for being near say little about how near others come.

    Args:
        curve: rising thresholds.
        precision: in (0, 1).
        floor: None where any will do.
    """
    proven = clean = None
    for point in reversed(curve):
        if point.precision is None:
            continue
        if point.precision < precision:
            break
        if point.precision == 1:
            clean = point
        if point.precision_low >= precision:
            proven = point
    found = proven or clean
    if found is None:
        return Recommendation(None, False, f"at no threshold are {precision:.1%} of the pairs the same")
    shown = f"{found.same:,} of the {found.pairs:,} pairs at or above {found.threshold:g} are the same, which proves"
    why = f"{shown} a precision of {found.precision_low:.4f} or more"
    if proven is None:
        why = f"the sample is too small: {why}, and {precision:g} takes {pairs_needed(precision):,} such pairs"
    if floor is None or found.threshold >= floor:
        return Recommendation(found.threshold, proven is not None, why)
    held = next((point for point in curve if point.threshold >= floor), None)
    return Recommendation(floor, held is not None and held.precision_low >= precision, f"the measured default stays; {why}")
