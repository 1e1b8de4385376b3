"""Small trials that tests build."""

from __future__ import annotations

import numpy as np

from curate.metrics import Samples, Space, Trial

SPACES = (Space("plain", "plain features"), Space("seen", "features that saw labels", supervised=True))
WORDS = {"tea": ["green", "black", "cup", "leaf", "brew"], "sea": ["wave", "salt", "tide", "deep", "shore"]}


def clouds(random: np.random.Generator, rows: int, *, shift: float = 0.0) -> Samples:
    """Two labelled clouds in 6 dimensions, as features, pixels and texts at once."""
    labels = [("tea", "sea")[n % 2] for n in range(rows)]
    centre = np.array([[3.0 if label == "tea" else -3.0] + [0.0] * 5 for label in labels])
    features = (centre + random.normal(size=(rows, 6)) + shift).astype(np.float32)
    pixels = np.clip(features[:, :1, None, None] * 20 + 128 + random.normal(0, 5, (rows, 4, 4, 1)), 0, 255).astype(np.uint8)
    texts = [" ".join(random.choice([*WORDS[label], "the", "a"], 8)) for label in labels]
    return Samples(labels, {"plain": features, "seen": features * 2}, texts=texts, pixels=pixels)


def trial(random: np.random.Generator, *, train: int = 90, test: int = 40, synthetic: int = 60, shift: float = 0.0) -> Trial:
    """Real clouds, and synthetic ones of the same law, shifted where asked."""
    return Trial(
        clouds(random, train), clouds(random, test), clouds(random, synthetic, shift=shift), SPACES,
        bits_per_byte=lambda texts, labels: float(sum(map(len, texts)) + len(labels)),
    )  # fmt: skip
