"""Refuses draws that a classifier, which learned from real samples, gives another label than was asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from curate.gates.contract.usual import example, spread
from curate.gates.contract.values import Draws, GateExample, Real, Reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSIFIER_ROWS = 20_000
"""Real samples that the classifier learns from at most."""
_MEASURED_ROWS = 2000

Classify = Callable[["NDArray[np.float32]"], list[str]]


class LabelMismatch:
    """Keeps the `Gate` contract."""

    rank: ClassVar[int] = 30
    reads: ClassVar[Literal["vectors"]] = "vectors"

    def __init__(self, reference: Reference) -> None:
        found = classifier(reference.train)
        self._classify = found[0] if found else None
        self.description = found[1] + _agreement(found[0], reference.held) if found else "off, fewer than two labels"

    @classmethod
    def example(cls) -> GateExample:
        """The third draw lies with another label's samples."""
        return example(refused=(2,))

    def judge(self, draws: Draws) -> list[str | None]:
        """By the classifier's word on each vector; a draw that was asked for without a label passes."""
        if self._classify is None or not len(draws):
            return [None] * len(draws)
        assert draws.vectors is not None
        asked = [conditions.get("label") for conditions in draws.conditions]
        looks = self._classify(draws.vectors)
        return [None if label in (None, look) else "label-mismatch" for label, look in zip(asked, looks, strict=True)]


def classifier(real: Real, *, most_rows: int = CLASSIFIER_ROWS) -> tuple[Classify, str] | None:
    """A function from vectors to labels, learned from real samples, and a sentence about it; None with fewer than two labels.

    Where there are more rows than it learns from, every label gives equally many, so that none is left out: all draws of a
    label that the classifier has never seen would be refused.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    by_label: dict[str, list[int]] = {}
    for row, label in enumerate(real.labels):
        if label is not None:
            by_label.setdefault(label, []).append(row)
    if len(by_label) < 2:
        return None
    most = max(1, most_rows // len(by_label))
    rows = np.concatenate([np.array(found)[spread(len(found), most)] for _, found in sorted(by_label.items())])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        # unit vectors: weak penalty
        fitted = LogisticRegression(C=160.0, max_iter=300).fit(real.vectors[rows], [real.labels[n] for n in rows])
    early = ", stopped before it had converged" if any(issubclass(w.category, ConvergenceWarning) for w in caught) else ""
    known = sum(map(len, by_label.values()))
    return (
        lambda vectors: fitted.predict(vectors).tolist(),
        f"a logistic regression on {len(rows):,} of {known:,} real training vectors{early} reads another label",
    )


def _agreement(classify: Classify, held: Real) -> str:
    """How often the classifier is right about held-out real samples: it refuses good draws as often as it is wrong."""
    labels: Sequence[str | None] = held.labels
    labelled = np.array([row for row, label in enumerate(labels) if label is not None], np.int64)
    if not len(labelled):
        return ""
    rows = labelled[spread(len(labelled), _MEASURED_ROWS)]
    right = np.mean([said == labels[row] for said, row in zip(classify(held.vectors[rows]), rows, strict=True)])
    return f"; it reads the right one on {right:.1%} of {len(rows):,} held-out real samples"


PLUGIN = LabelMismatch
