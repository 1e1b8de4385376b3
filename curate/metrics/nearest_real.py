"""Nearest real samples: whether the synthetic ones lie nearer to what was learned than to what was held out."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from curate.metrics import Findings, Measure, Trial
from curate.metrics.probes.distances import nearest


class NearestReal:
    """Signs of copying; none of them proves that there is none."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text", "image"})

    def measure(self, trial: Trial) -> Findings:
        """Four measures for each feature space."""
        if not len(trial.synthetic) or not len(trial.test) or len(trial.train) < 2:
            return Findings(notes=("nearest-real: needs a synthetic row, a test row and two train rows",))
        return Findings(tuple(m for space in trial.spaces for m in self._in_space(trial, space.name)))

    def _in_space(self, trial: Trial, space: str) -> list[Measure]:
        train, test, drawn = (side.features[space] for side in (trial.train, trial.test, trial.synthetic))
        sizes = {"synthetic": len(drawn), "train": len(train), "test": len(test)}
        near, rows = nearest(drawn, train, 2)
        held, held_rows = nearest(test, train, 2)
        own = nearest(train, train, 1, same=True)[0][:, 0]
        in_train = nearer(near[:, 0], nearest(drawn, test, 1)[0][:, 0])

        def row(
            name: str, of_drawn: NDArray[np.float64], reference: float, definition: str, source: str, reading: str
        ) -> Measure:
            error = float(of_drawn.std() / np.sqrt(len(of_drawn)))
            return Measure(
                f"{name}/{space}", None, float(of_drawn.mean()), error, reference, sizes, definition, source, reading
            )  # fmt: skip

        return [
            row(
                "nearest-in-train", in_train, len(train) / (len(train) + len(test)),
                "Share of synthetic rows whose nearest real row is a train row rather than a test row (a tie counts"
                " half); the reference is"
                " the share of train rows among both, which is expected where the model favours neither. Spread: standard"
                " error.",
                "distance-to-closest-record share: Platzer and Reutterer 2021, arXiv:2104.00635",
                "well above the reference: samples lean on the very rows that were learned from",
            ),
            row(
                "authenticity", authentic(near[:, 0], own[rows[:, 0]]),
                float(authentic(held[:, 0], own[held_rows[:, 0]]).mean()),
                "Share of synthetic rows that are farther from their nearest train row than that row is from any other"
                " train row; the"
                " reference has test rows for the synthetic ones. Spread: standard error.",
                "Alaa et al. 2022, arXiv:2102.08921",
                "well below the reference: samples hug single rows that were learned from",
            ),
            row(
                "nearest-neighbor-distance-ratio", ratios(near), float(ratios(held).mean()),
                "Mean over synthetic rows of the distance to the nearest train row divided by that to the second nearest;"
                " the reference has"
                " test rows for the synthetic ones. Spread: standard error.",
                "Lowe 2004, doi:10.1023/B:VISI.0000029664.99615.94",
                "well below the reference: samples hug single rows that were learned from",
            ),
            row(
                "distance-to-train", near[:, 0], float(held[:, 0].mean()),
                "Mean Euclidean distance of synthetic rows to their nearest train row; the reference has test rows for"
                " the synthetic ones."
                " Spread: standard error.",
                "distance to closest record: Platzer and Reutterer 2021, arXiv:2104.00635",
                "well below the reference: nearer to what was learned than new real samples are",
            ),
        ]  # fmt: skip


def nearer(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where the left distance is shorter, 0 where the right one is, ½ where they are equal to rounding."""
    equal = np.isclose(left, right, rtol=1e-9, atol=1e-6)
    return np.where(equal, 0.5, (left < right).astype(np.float64))


def authentic(to_train: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where a row is farther from its nearest train row than that row is from its own nearest, else 0.

    Args:
        to_train: (n,) distances to the nearest train row.
        own: (n,) distances of that train row to the nearest other one.
    """
    return (to_train > own).astype(np.float64)


def ratios(near: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) nearest by second nearest of (n, 2) distances; 1 where both are 0, since no single row is hugged then."""
    return np.divide(near[:, 0], near[:, 1], out=np.ones(len(near)), where=near[:, 1] > 0)


PLUGIN = NearestReal
