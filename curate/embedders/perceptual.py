"""Vectors of how a picture looks, without weights: near-duplicates lie close, pictures of like things do not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from curate.embedders import EmbedderOptions, Modality
from curate.embedders._perceptual_thumbnail import SIZE, thumbnail
from curate.errors import SettingError

VERSION = 1
"""Part of the fingerprint: raised by every change that moves a vector."""
WAVES = 24
"""Luma cosine waves kept along each side."""
FLOOR = 10.0
"""Weighted contrast, in grey levels, below which a picture is told by its mean grey and not by its noise."""
CHROMA = tuple((y, x) for y in range(4) for x in range(4 - y))
"""The (vertical, horizontal) waves of Cb and of Cr that are kept."""
_CHUNK = 256


def whitening() -> NDArray[np.float32]:
    """(WAVES, WAVES) weight of each luma wave: 1 + its frequency, for photographs' amplitudes fall off as its inverse."""
    waves = np.arange(WAVES, dtype=np.float32)
    weight = 1 + np.hypot(waves[:, None], waves[None, :])
    weight[0, 0] = 0
    return weight.astype(np.float32)


class Perceptual:
    """Whitened cosine waves of a 48×48 thumbnail, with a little colour and the mean grey.

    Layout of a vector, before it is scaled to length 1, in grey levels: WAVES² luma waves, row by row,
    with FLOOR·cos πm in the place of the mean; FLOOR·sin πm, where m in [0, 1] is the mean luma; 10 waves of Cb, 10 of Cr; and
    FLOOR·r, where r is the shorter side over 2·SIZE, at most 1: how much of the detail is real and not enlarged.
    """

    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    default_threshold: float | None = 0.8
    dimension = WAVES * WAVES + 2 + 2 * len(CHROMA)
    slug = "perceptual"
    description = f"perceptual: whitened {WAVES}×{WAVES} cosine waves of a thumbnail, no weights, float32"

    def __init__(self, options: EmbedderOptions) -> None:
        if options.model is not None:
            raise SettingError(f"the perceptual embedder takes no model, got {options.model!r}", hint="--embedder perceptual")
        self._threads = options.threads or os.cpu_count() or 1
        self.fingerprint = hashlib.sha256(repr(("perceptual", VERSION, SIZE, WAVES, FLOOR, CHROMA)).encode()).hexdigest()

    def embed_texts(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Refuse: there is no text side."""
        raise SettingError("the perceptual embedder sees images only", hint="name a text embedder, such as minilm")

    def embed_images(self, images: Sequence[bytes], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Decode at reduced scale and transform; see `Embedder`."""
        vectors = np.empty((len(images), self.dimension), np.float32)
        with ThreadPoolExecutor(self._threads) as pool:
            for start in range(0, len(images), _CHUNK):
                chunk = images[start : start + _CHUNK]
                thumbnails, sides = zip(*pool.map(thumbnail, chunk), strict=True)
                vectors[start : start + len(chunk)] = encode(np.stack(thumbnails), np.array(sides))
                if advance is not None:
                    advance(len(chunk))
        return vectors

    def close(self) -> None:
        """Nothing is held."""


def encode(thumbnails: NDArray[np.uint8], sides: NDArray[np.int64]) -> NDArray[np.float32]:
    """Transform (n, SIZE, SIZE, 3) thumbnails and (n,) shorter sides in pixels to (n, dimension) unit vectors."""
    planes = thumbnails.astype(np.float32)
    basis = _cosines(WAVES)  # (WAVES, SIZE)
    luma = basis @ planes[..., 0] @ basis.T * whitening()  # (n, WAVES, WAVES)
    few = _cosines(4)
    blue, red = (few @ (planes[..., band] - 128) @ few.T for band in (1, 2))
    mean = np.pi * planes[..., 0].mean(axis=(1, 2)) / 255
    luma[:, 0, 0] = FLOOR * np.cos(mean)
    rows, columns = zip(*CHROMA, strict=True)
    sine, detail = FLOOR * np.sin(mean), FLOOR * np.minimum(sides / (2 * SIZE), 1)
    parts = (luma.reshape(len(planes), -1), sine[:, None], blue[:, rows, columns], red[:, rows, columns], detail[:, None])
    vectors = np.concatenate(parts, axis=1)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _cosines(waves: int) -> NDArray[np.float32]:
    """(waves, SIZE) type-II cosine transform scaled so that a coefficient is in grey levels, root mean square."""
    phase = np.pi * np.arange(waves)[:, None] * (np.arange(SIZE) + 0.5)[None, :] / SIZE
    return (np.cos(phase) * np.where(np.arange(waves) > 0, np.sqrt(2), 1)[:, None] / SIZE).astype(np.float32)


PLUGIN = Perceptual
