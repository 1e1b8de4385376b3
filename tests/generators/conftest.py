"""Small real examples that the generators' tests share."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from curate.generators import Examples, FitOptions

ONE_THREAD = FitOptions(device="cpu", threads=1, checkpoint_seconds=0)


@pytest.fixture(scope="session")
def digits() -> tuple[Examples, Examples]:
    """300 scikit-learn digits to train on and 60 to validate with, 8×8 grey."""
    found = load_digits()
    pixels = (found.images * 255 / 16).round().astype(np.uint8)[..., None]
    labels = [str(label) for label in found.target]
    return Examples(media=pixels[:300], label=labels[:300]), Examples(media=pixels[300:360], label=labels[300:360])


@pytest.fixture(scope="session")
def greetings() -> tuple[Examples, Examples]:
    """Texts whose label says everything about them: two labels with words of their own."""
    words = {"morning": ["good morning sun", "bright early sun"], "night": ["good night moon", "late dark moon"]}
    rows = [(label, text) for label, texts in words.items() for text in texts] * 8
    return (
        Examples(label=[label for label, _ in rows], text=[text for _, text in rows]),
        Examples(label=[label for label, _ in rows[:4]], text=[text for _, text in rows[:4]]),
    )
