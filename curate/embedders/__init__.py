"""Embedders turn texts or images into unit vectors.

An embedder plug-in (`curate/embedders/<name>.py`, `PLUGIN = TheClass`) keeps the `Embedder` contract. It is asked for by
`name` or `name:model`, where `model` is a path or a hub name for the families that take one. The same fingerprint
must mean the same vectors: it hashes the weights and every setting that moves a vector, and never a path or a date.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EmbedderOptions:
    """How an embedder is loaded.

    Attributes:
        model: path or hub name, for the plug-ins that take one; None for their default.
        folder: a folder in the workspace that the plug-in may keep files in (a distilled static model), made by it.
        threads: how many cores it may use in all, over its threads and processes; 0 for every core of the machine.
        device: "auto" (a GPU where one is), "cpu", "cuda", "cuda:1", "mps".
    """

    model: str | None = None
    folder: Path | None = None
    threads: int = 0
    device: str = "auto"


@runtime_checkable
class TextReader(Protocol):
    """What an embedder of texts also has if it can tell what it makes of one; else only edits are taken for repeats."""

    scripts: ClassVar[str]
    """"latin" if it was made for texts in the Latin script, "any" if for more."""

    def read_texts(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Count what the model sees of texts, without embedding them.

        Returns:
            (n, 3): tokens that it sees, how many of those it does not know, and how many tokens it does not see.
        """
        ...


class Embedder(Protocol):
    """One way to turn content into a vector."""

    modalities: ClassVar[frozenset[str]]
    """Names of the modalities that it can be shown. Texts go to `embed_texts`, images to `embed_images`; another modality says
    in its own `embed` which method it calls."""
    default_threshold: float | None
    """The lowest cosine at which two contents count as near-duplicates, from a measured curve; None if nobody measured one."""
    dimension: int
    fingerprint: str
    """Hex digest: the same fingerprint means the same vectors."""
    slug: str
    """A short name of lower-case letters, digits and underscores; the catalog's table is `vectors_<slug>`."""
    description: str
    """One line for a person: the model, its size, its precision."""

    def __init__(self, options: EmbedderOptions) -> None:
        """Load the weights.

        Raises:
            InputError: the model cannot be found or read.
            MissingExtra: an optional package is needed.
        """
        ...

    def embed_texts(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Embed texts in any order and any length; the result keeps the order.

        Args:
            texts: n texts; an empty text has a vector too.
            advance: told how many more texts are done, as the work goes on.

        Returns:
            (n, dimension) float32, each row of length 1.
        """
        ...

    def embed_images(self, images: Sequence[bytes], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Embed encoded image files (PNG, JPEG, …, already known to decode); the same contract as `embed_texts`.

        Raises:
            SettingError: the embedder has no image side (and likewise for texts).
        """
        ...

    def close(self) -> None:
        """Give back worker processes and memory; the embedder is not used afterwards."""
        ...

    @classmethod
    def example(cls, folder: Path) -> EmbedderOptions:
        """How a small one is loaded on a CPU without a network; a model or a file that it needs is made in `folder`.

        `curate.testing.check_embedder` loads it; nothing else needs it.
        """
        ...
