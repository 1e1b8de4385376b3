"""Precision, recall, density and coverage: whether each set lies in the neighbourhoods of the other."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curate.metrics import Findings, Measure, Trial
from curate.metrics.probes.distances import distances

K = 5
REPEATS = 5
MOST_ROWS = 2000

_IMPROVED = "Kynkäänniemi et al. 2019, arXiv:1904.06991"
_RELIABLE = "Naeem et al. 2020, arXiv:2002.09797"
_ABOUT = {
    "precision": ("share of synthetic rows inside the ball of some real row", _IMPROVED, "fidelity: as high as the reference"),
    "recall": (
        "share of real rows inside the ball of some synthetic row",
        _IMPROVED,
        "variety: as high as the reference; far-flung samples inflate it, so read coverage too",
    ),
    "density": (
        f"how many real rows' balls hold a synthetic row, on average, divided by {K}",
        _RELIABLE,
        "fidelity: near the reference; far above: samples crowd at the commonest",
    ),
    "coverage": ("share of real rows whose ball holds a synthetic row", _RELIABLE, "variety: as high as the reference"),
}


class Neighborhood(NamedTuple):
    """Four shares; density may exceed 1."""

    precision: float
    recall: float
    density: float
    coverage: float


class Neighborhoods:
    """Fidelity and variety by k-nearest-neighbour balls."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text", "image"})

    def measure(self, trial: Trial) -> Findings:
        """Four measures for each feature space, over equally many rows of each side."""
        rows = min(len(trial.synthetic), len(trial.test), len(trial.train), MOST_ROWS)
        if rows <= K:
            return Findings(notes=(f"neighborhoods: needs more than {K} rows of each side, and one has {rows}",))
        measures = [measure for space in trial.spaces for measure in self._in_space(trial, space.name, rows)]
        return Findings(tuple(measures))

    def _in_space(self, trial: Trial, space: str, rows: int) -> list[Measure]:
        random = trial.random("neighborhoods")
        parts = [side.features[space] for side in (trial.test, trial.synthetic, trial.train)]
        found = []
        for _ in range(REPEATS):
            test, synthetic, train = (part[random.choice(len(part), rows, replace=False)] for part in parts)
            found.append((neighborhood(test, synthetic), neighborhood(test, train)))
        values = np.array(found)  # (repeats, synthetic or train, four measures)
        sizes = {"synthetic": rows, "test": rows, "train": rows, "repeats": REPEATS, "k": K}
        return [
            Measure(
                name=f"{name}/{space}",
                label=None,
                value=float(values[:, 0, n].mean()),
                spread=float(values[:, 0, n].std()),
                reference=float(values[:, 1, n].mean()),
                sizes=sizes,
                definition=f"{what[0].upper()}{what[1:]}; a row's ball reaches to its {K}th nearest neighbour in its own"
                f" set. Equally many"
                " test and synthetic rows, mean and standard deviation over random subsets; the reference has train rows"
                " for the synthetic"
                " ones.",
                source=source,
                reading=reading,
            )
            for n, (name, (what, source, reading)) in enumerate(_ABOUT.items())
        ]


def neighborhood(real: NDArray[np.floating], other: NDArray[np.floating], k: int = K) -> Neighborhood:
    """Precision, recall, density and coverage of (m, d) `other` for (n, d) `real`; both have more than k rows."""
    real_radius, other_radius = _radius(real, k), _radius(other, k)
    across = distances(real, other)
    in_real = across <= real_radius[:, None]
    in_other = across <= other_radius[None, :]
    return Neighborhood(
        precision=float(in_real.any(axis=0).mean()),
        recall=float(in_other.any(axis=1).mean()),
        density=float(in_real.sum() / (k * len(other))),
        coverage=float(in_real.any(axis=1).mean()),
    )


def _radius(rows: NDArray[np.floating], k: int) -> NDArray[np.float64]:
    own = distances(rows, rows)
    np.fill_diagonal(own, np.inf)
    return np.asarray(np.partition(own, k - 1, axis=1)[:, k - 1])


PLUGIN = Neighborhoods
