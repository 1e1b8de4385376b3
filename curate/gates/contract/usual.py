"""What is usual among real samples.

Near-copies are judged by how near real samples lie to each other: the limit is a high quantile of real samples' similarity to
their own nearest neighbour, so a draw is refused if it is nearer to a real sample than nearly all real ones are. This finds
copies; it proves nothing about privacy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curate.gates.contract.values import Draws, GateExample, Real, Reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

USUAL = 0.995
"""Quantile of the real nearest-neighbour similarities."""


def usual_limit(similarities: NDArray[np.float32]) -> float:
    """The cosine above which a draw is nearer than real samples usually are; 1 where nothing was measured."""
    return float(np.quantile(similarities, USUAL)) if len(similarities) else 1.0


def spread(count: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` row numbers, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64)) if count else np.zeros(0, np.int64)


def example(*, refused: tuple[int, ...]) -> GateExample:
    """Twelve real vectors of two labels around two directions, and five draws.

    Draw 0 repeats a training vector, draw 1 a held-out one; draw 2 lies with label "b" and was asked to be "a"; draws 3 and 4
    are one text twice, of label "b", and far from everything.
    """
    random = np.random.default_rng(3)
    centres = np.repeat(np.eye(8, dtype=np.float32)[:2], 6, axis=0)
    real = _unit(centres + random.normal(0, 0.15, centres.shape))
    near_b = _unit(np.eye(8)[1] + random.normal(0, 0.2, 8))
    far = _unit(np.array([0.0, 1, 0, 1, 0, 1, 0, 0]))
    drawn = np.stack([real[0], real[11], near_b, far, far]).astype(np.float32)
    labels = ["a"] * 6 + ["b"] * 6
    train, held = [0, 1, 2, 3, 6, 7, 8, 9], [4, 5, 10, 11]
    own = real[train] @ real[train].T - 2 * np.eye(len(train), dtype=np.float32)
    reference = Reference(
        "made up",
        Real(real[train], [labels[row] for row in train]),
        Real(real[held], [labels[row] for row in held]),
        np.zeros((0, 8), np.float32),
        own.max(1),
        (real[train] @ real[held].T).max(1),
    )
    contents = ["a copy", "a leak", "one thing", "another", "another"]
    conditions = [{"label": label} for label in ("a", "b", "a", "b", "b")]
    draws = Draws(contents, conditions, [False] * 5, drawn, (drawn @ real[train].T).max(1), (drawn @ real[held].T).max(1))
    return GateExample(reference, draws, refused)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return found
