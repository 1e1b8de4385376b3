"""What a trained model itself makes of texts, in a unit that can be compared across tokenizers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from curate.errors import SettingError
from curate.generators import Examples, Model


def bits_per_byte_of(model: Model) -> Callable[[Sequence[str], Sequence[str | None]], float] | None:
    """A function from texts and their labels to the bits that the model needs per byte of UTF-8, the texts' ends included.

    Returns:
        None where the model has no likelihood.
    """
    if not (model.can_score and model.has_likelihood):
        return None

    def bits_per_byte(texts: Sequence[str], labels: Sequence[str | None]) -> float:
        known = [label if label in model.labels else None for label in labels]
        nats = model.score(Examples(text=texts, label=known)).nats
        size = sum(len(text.encode()) for text in texts)
        if nats is None or not size:
            raise SettingError("bits per byte need at least one byte of text")
        return math.fsum(nats) / math.log(2) / size

    return bits_per_byte
