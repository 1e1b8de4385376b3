"""Contents that laws are tried on: seeded, small, and with near-duplicates on both sides of any threshold."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

WORDS = [f"w{number}" for number in range(200)]


def some_texts(rng: np.random.Generator, rows: int) -> pa.LargeStringArray:
    """(rows,) texts, more than half of them edits of others by a few words."""
    made: list[str] = []
    for _ in range(rows):
        if made and rng.random() < 0.6:
            words = made[rng.integers(len(made))].split()
            for _ in range(rng.integers(0, 4)):
                words[rng.integers(len(words))] = WORDS[rng.integers(200)]
        else:
            words = [WORDS[number] for number in rng.integers(0, 200, rng.integers(1, 80))]
        made.append(" ".join(words))
    return pa.array(made, pa.large_string())


def some_hashes(rng: np.random.Generator, rows: int) -> NDArray[np.uint8]:
    """(rows, 16) content hashes of which about half repeat another."""
    different = rng.integers(0, 256, (max(rows // 2, 1), 16), np.uint8)
    chosen: NDArray[np.uint8] = different[rng.integers(0, len(different), rows)]
    return chosen


def some_vectors(rng: np.random.Generator, rows: int, width: int = 64) -> NDArray[np.float32]:
    """(rows, width) unit vectors of signs, over half of them others with a few signs turned."""
    made = np.sign(rng.standard_normal((rows, width))).astype(np.float32)
    for row in range(1, rows):
        if rng.random() < 0.6:
            made[row] = made[rng.integers(row)]
            made[row, rng.integers(0, width, rng.integers(0, 6))] *= -1
    return made / np.float32(np.sqrt(width))


def unit_vectors(rng: np.random.Generator, rows: int, width: int = 16) -> NDArray[np.float32]:
    """(rows, width) unit vectors in every direction alike."""
    vectors = rng.normal(size=(rows, width)).astype(np.float32)
    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def some_pictures(rng: np.random.Generator, rows: int) -> list[bytes]:
    """PNG files of random blots, of which more than half are others made darker or scaled."""
    made: list[Image.Image] = []
    for _ in range(rows):
        if made and rng.random() < 0.6:
            picture = made[rng.integers(len(made))]
            picture = [picture.point(lambda value: int(value * 0.8)), picture.resize((80, 80)), picture][rng.integers(3)]
        else:
            blots = rng.integers(0, 256, (8, 8, 3), np.uint8)
            picture = Image.fromarray(blots).resize((96, 96), Image.Resampling.BICUBIC)
        made.append(picture)
    return [as_file(picture) for picture in made]


def noise_picture(seed: int, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> bytes:
    """A PNG file of smooth noise, of `size` pixels (width, height)."""
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return as_file(small.resize(size, Image.Resampling.BICUBIC).convert(mode))


def as_file(picture: Image.Image, kind: str = "PNG") -> bytes:
    """A picture's encoded bytes."""
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def take(content: Any, rows: NDArray[np.int64]) -> Any:
    """Some rows of an Arrow or a NumPy array, in this order; they may repeat."""
    return content.take(pa.array(rows, pa.int64())) if isinstance(content, pa.Array) else content[rows]
