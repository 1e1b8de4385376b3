"""What is asked of a model, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """One sample to draw.

    Attributes:
        seed: the sample's own, from 0 to 2**63 - 1.
        conditions: what it shall be, by name; {"label": "7"} asks for one of the model's labels, {} for anything.
    """

    seed: int
    conditions: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_label(cls, label: str | None, seed: int) -> DrawRequest:
        """Ask for a label; None asks for none."""
        return cls(seed, {} if label is None else {"label": label})

    @property
    def label(self) -> str | None:
        """The label that is asked for, or None."""
        return self.conditions.get("label")


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawn sample: a text, or an encoded image.

    Attributes:
        index: which request of the call it answers.
        request: that request.
        text: the text, or None where it is media.
        media: the encoded file's bytes, or None where it is a text.
        extra: facts about the draw, JSON-like: {"tokens": 12, "stopped": "end"}.
    """

    index: int
    request: DrawRequest
    text: str | None = None
    media: bytes | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> str | bytes:
        """The text or the media, whichever it is."""
        return self.text if self.text is not None else self.media or b""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model makes of examples.

    Attributes:
        loss: (n,) the model's loss on each, with fixed noise where it needs any; lower is likelier.
        nats: (n,) −ln p of each whole example given its conditions, where the model has a likelihood; else None.
    """

    loss: NDArray[np.float64]
    nats: NDArray[np.float64] | None = None
