"""Kernel distance: unbiased squared maximum mean discrepancy with a cubic polynomial kernel."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from curate.metrics import Findings, Measure, Trial

SUBSETS = 50
SUBSET_ROWS = 1000


class KernelDistance:
    """How far apart two sets of features lie as distributions."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text", "image"})

    def measure(self, trial: Trial) -> Findings:
        """One measure for each feature space."""
        rows = min(SUBSET_ROWS, min(len(trial.synthetic), len(trial.test), len(trial.train)) // 2)
        if rows < 2:
            return Findings(notes=("kernel-distance: needs at least 4 rows of each side",))
        return Findings(tuple(self._in_space(trial, space.name, rows) for space in trial.spaces))

    def _in_space(self, trial: Trial, space: str, rows: int) -> Measure:
        scale = np.sqrt(np.square(trial.train.features[space], dtype=np.float64).mean()) or 1.0
        test = trial.test.features[space] / scale
        values, references = (
            _over_subsets(trial.random(f"kernel-distance {n}"), side.features[space] / scale, test, rows)
            for n, side in enumerate((trial.synthetic, trial.train))
        )
        return Measure(
            name=f"kernel-distance/{space}",
            label=None,
            value=float(values.mean()),
            spread=float(values.std()),
            reference=float(references.mean()),
            sizes={
                "synthetic": len(trial.synthetic),
                "test": len(trial.test),
                "train": len(trial.train),
                "subsets": SUBSETS,
                "rows_a_subset": rows,
            },
            definition="Unbiased squared maximum mean discrepancy between synthetic and test features, kernel (x·y/d + 1)³,"
            " after division by the root mean square of the train features: mean and standard deviation over"
            f" {SUBSETS} random subsets; the reference has train rows for the synthetic ones.",
            source="Bińkowski et al. 2018, arXiv:1801.01401",
            reading="lower is nearer; about 0 (it may be negative) is as near as real is to real",
        )


def squared_discrepancy(left: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    """Unbiased MMD² between (n, d) and (m, d) features, n and m at least 2, with the kernel (x·y/d + 1)³."""
    x, y = left.astype(np.float64), right.astype(np.float64)
    n, m, d = len(x), len(y), x.shape[1]
    xx, yy, xy = (_cube(a @ b.T / d + 1) for a, b in ((x, x), (y, y), (x, y)))
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


def _cube(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values * values * values  # a general power is fifty times slower


def _over_subsets(
    random: np.random.Generator, left: NDArray[np.floating], right: NDArray[np.floating], rows: int
) -> NDArray[np.float64]:
    return np.array(
        [
            squared_discrepancy(
                left[random.choice(len(left), rows, replace=False)], right[random.choice(len(right), rows, replace=False)]
            )
            for _ in range(SUBSETS)
        ]
    )


PLUGIN = KernelDistance
