"""The classifiers that judge how well one set teaches another, under one signature."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.metrics import Trial

SVC_ROWS = 5000
"""Where train and synthetic rows together are more than twice this, a support vector classifier is too slow."""
SVC_LABELS = 20
"""It learns a classifier for each pair of labels, and asks all of them about every row."""
Rows = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Classifier:
    """One kind of classifier on one kind of input.

    Attributes:
        name: "svc/pixels".
        description: with its settings.
        repeats: how many subsets it can afford.
        inputs: train, test and synthetic rows as it takes them.
        predict: from rows, their labels, new rows and a seed to the new rows' labels.
    """

    name: str
    description: str
    repeats: int
    inputs: tuple[Rows, Rows, Rows]
    predict: Callable[[Rows, NDArray[np.str_], Rows, int], NDArray[np.str_]]


def affords_support_vectors(trial: Trial) -> bool:
    """Whether a support vector classifier on all rows takes seconds and not many minutes."""
    few_labels = len({label for label in trial.train.labels if label is not None}) <= SVC_LABELS
    return few_labels and len(trial.train) + len(trial.synthetic) <= 2 * SVC_ROWS


def classifiers(trial: Trial, unconverged: Counter[str]) -> Iterator[Classifier]:
    """Every classifier that a trial affords.

    A supervised space has none: it was shaped by the real labels, and would flatter real data.

    Args:
        unconverged: counts, by classifier, the fits that stopped early.
    """
    sides = (trial.train, trial.test, trial.synthetic)
    for space in trial.spaces:
        if space.supervised:
            continue
        inputs = (trial.train.features[space.name], trial.test.features[space.name], trial.synthetic.features[space.name])
        name = f"logistic-regression/{space.name}"
        yield Classifier(
            name,
            f"logistic regression (L2, C = 1, features centred and divided by one standard deviation) on {space.name}",
            3,
            inputs,
            _logistic(name, unconverged),
        )
        if affords_support_vectors(trial):
            yield Classifier(
                f"svc/{space.name}",
                f"support vector classifier (radial kernel, C = 10, gamma = 1 / (d · variance)) on {space.name}",
                3,
                inputs,
                _support_vectors,
            )
    if trial.train.pixels is not None and trial.test.pixels is not None and trial.synthetic.pixels is not None:
        pixels = tuple(side.pixels for side in sides)
        yield Classifier(
            "small-network/pixels",
            "small convolutional network (3 layers, a fixed budget of steps) on pixels",
            1,
            pixels,  # type: ignore[arg-type]
            _network,
        )


def _logistic(name: str, unconverged: Counter[str]) -> Callable[[Rows, NDArray[np.str_], Rows, int], NDArray[np.str_]]:
    def predict(rows: Rows, labels: NDArray[np.str_], new: Rows, _: int) -> NDArray[np.str_]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        # One scale for all: to standardise each feature would lift the noise of the last singular vectors to the first's level.
        centre, scale = rows.mean(axis=0), float(rows.std()) or 1.0
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            fitted = LogisticRegression(max_iter=1000, tol=1e-3).fit((rows - centre) / scale, labels)
        unconverged[name] += any(issubclass(w.category, ConvergenceWarning) for w in caught)
        return np.asarray(fitted.predict((new - centre) / scale))

    return predict


def _support_vectors(rows: Rows, labels: NDArray[np.str_], new: Rows, _: int) -> NDArray[np.str_]:
    from sklearn.svm import SVC

    return np.asarray(SVC(C=10.0, gamma="scale", random_state=0).fit(rows, labels).predict(new))


def _network(rows: Rows, labels: NDArray[np.str_], new: Rows, seed: int) -> NDArray[np.str_]:
    from curate.metrics.probes.small_network import SmallNetwork

    return SmallNetwork(rows, labels.tolist(), seed=seed).predict(new)
