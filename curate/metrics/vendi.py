"""Vendi score: how many different samples a set amounts to."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from curate.metrics import Findings, Measure, Trial

REPEATS = 5


class Vendi:
    """Diversity without a reference distribution."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text", "image"})

    def measure(self, trial: Trial) -> Findings:
        """One measure for each feature space, over as many synthetic rows as test rows."""
        rows = min(len(trial.synthetic), len(trial.test))
        if rows < 2:
            return Findings(notes=(f"vendi: needs two rows of each side, and one has {rows}",))
        measures = []
        for space in trial.spaces:
            random = trial.random("vendi")
            values, references = (
                np.array([vendi(m[random.choice(len(m), rows, replace=False)]) for _ in range(REPEATS)])
                for m in (trial.synthetic.features[space.name], trial.test.features[space.name])
            )
            measures.append(
                Measure(
                    name=f"vendi/{space.name}",
                    label=None,
                    value=float(values.mean()),
                    spread=float(values.std()),
                    reference=float(references.mean()),
                    sizes={"synthetic": rows, "test": rows, "repeats": REPEATS},
                    definition="Exponential of the entropy of the eigenvalues of the cosine similarity matrix divided by"
                    " its size: the"
                    " number of wholly different rows that would be as diverse. Mean and standard deviation over random"
                    " subsets; the"
                    " reference is that of as many test rows.",
                    source="Friedman and Dieng 2023, arXiv:2210.02410",
                    reading="variety: near the reference",
                )
            )
        return Findings(tuple(measures))


def vendi(features: NDArray[np.floating]) -> float:
    """Vendi score of (n, d) features under the cosine kernel, from 1 to min(n, d)."""
    x = features.astype(np.float64)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    gram = (x.T @ x if x.shape[1] < len(x) else x @ x.T) / len(x)  # the same eigenvalues but for zeros
    values = np.linalg.eigvalsh(gram)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


PLUGIN = Vendi
