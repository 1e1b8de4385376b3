"""Vectors of how a picture looks, without weights: near-duplicates lie close, pictures of like things do not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from curate.embedders import EmbedderOptions
from curate.embedders.thumbnails.kernels import CHROMA, DIMENSION, FLOOR, SIZE, WAVES, cosines, vector, whitening
from curate.embedders.thumbnails.thumbnail import decode
from curate.errors import SettingError

VERSION = 5
"""Part of the fingerprint: raised by every change that moves a vector."""
_CHUNK = 64
"""Files that a thread takes at a time, and that progress is told by."""


class Perceptual:
    """Whitened cosine waves of a 48×48 thumbnail, with a little colour, the mean grey, and some detail.

    Layout of a vector, before it is scaled to length 1, in grey levels: WAVES² luma waves, row by row,
    with FLOOR·cos πm in the place of the mean; FLOOR·sin πm, where m in [0, 1] is the mean luma; 10 waves of Cb, 10 of Cr;
    FLOOR·r, where r is the shorter side over 2·SIZE, at most 1: how much of the detail is real and not enlarged; SHARP times
    the detail of 24×24 cells (`thumbnails.detail`), zeros for most photographs; FLOOR times how far the picture looks
    rendered, 0 to 1; and FLOOR·log₂(frames)/8.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    default_threshold: float | None = 0.8
    dimension = DIMENSION
    slug = "perceptual"
    superseded = frozenset(
        {
            "0a66331c79cb2c47e2bb0ff92c0b6486a8ebb209c62576ef595f70e6b3a0edd7",
            "a8f7ec9bf654240bd7b3e7f82265994e5c07d5981e7a010f6f52a6bcb263c06c",
        }
    )
    """Fingerprints of versions before this one: `check` says that such vectors are to be made anew, and calls none damaged."""
    description = f"perceptual: whitened {WAVES}×{WAVES} cosine waves of a thumbnail, no weights, float32"

    def __init__(self, options: EmbedderOptions) -> None:
        if options.model is not None:
            raise SettingError(f"the perceptual embedder takes no model, got {options.model!r}", hint="--embedder perceptual")
        self._threads = options.threads or os.cpu_count() or 1
        self.fingerprint = hashlib.sha256(repr(("perceptual", VERSION, SIZE, WAVES, FLOOR, CHROMA)).encode()).hexdigest()

    @classmethod
    def example(cls, folder: Path) -> EmbedderOptions:
        """How a small one is loaded."""
        return EmbedderOptions(threads=2)

    def embed_texts(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Refuse: there is no text side."""
        raise SettingError("the perceptual embedder sees images only", hint="name a text embedder, such as minilm")

    def embed_images(self, images: Sequence[bytes], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Decode at reduced scale and transform, each picture on its own; see `Embedder`."""
        vectors = np.empty((len(images), self.dimension), np.float32)
        basis, weight = cosines(), whitening()

        def embed_chunk(start: int) -> int:
            chunk = images[start : start + _CHUNK]
            for number, data in enumerate(chunk, start):
                picture = decode(data)
                vector(picture.pixels, *picture.box, *picture[2:], basis, weight, vectors[number])
            return len(chunk)

        with ThreadPoolExecutor(self._threads) as pool:
            for done in pool.map(embed_chunk, range(0, len(images), _CHUNK)):
                if advance is not None:
                    advance(done)
        return vectors

    def close(self) -> None:
        """Nothing is held."""


PLUGIN = Perceptual
