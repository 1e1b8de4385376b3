"""How similar labelled pairs are by a deduper: vectors that the catalog has are taken from there, the others are made."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.catalog import Catalog, vectors
from curate.dedupers import Deduper
from curate.deduplication.labelled_pairs import Pairs
from curate.embedders import Embedder
from curate.errors import BadRecord, InputError
from curate.modalities import Limits, load_modality
from curate.records import Progress


def compare_texts(deduper: Deduper, pairs: Pairs) -> NDArray[np.float32]:
    """(m,) similarities of pairs of texts."""
    sides = (pa.array(side, pa.large_string()) for side in (pairs.left, pairs.right))
    return np.asarray(deduper.similarity(*sides), np.float32)


def compare_vectors(
    catalog: Catalog, deduper: Deduper, model: Embedder, pairs: Pairs, folder: Path, progress: Progress
) -> tuple[NDArray[np.float32], int]:
    """Measure pairs by the vectors of their texts or files, each distinct one embedded once at most.

    Args:
        folder: where relative paths of images start.

    Returns:
        (m,) similarities, and how many of the vectors the catalog had already.
    """
    contents = {content: n for n, content in enumerate(dict.fromkeys((*pairs.left, *pairs.right)))}
    names = list(contents)
    pictures = "image" in model.modalities and ("text" not in model.modalities or (folder / names[0]).is_file())
    media = [_read_image(folder / name) for name in names] if pictures else [name.encode() for name in names]
    known = vectors.by_content(catalog, model.slug, model.fingerprint, [hashlib.sha256(data).hexdigest() for data in media])
    made = np.empty((len(names), model.dimension), np.float32)
    missing = [n for n in range(len(names)) if n not in known]
    for n, vector in known.items():
        made[n] = vector
    progress.start("embedding", total=len(missing), unit="images" if pictures else "texts")
    if missing and pictures:
        made[missing] = model.embed_images([media[n] for n in missing], progress.advance)
    elif missing:
        made[missing] = model.embed_texts([names[n] for n in missing], progress.advance)
    progress.finish()
    left, right = ([contents[content] for content in side] for side in (pairs.left, pairs.right))
    return np.asarray(deduper.similarity(made[left], made[right]), np.float32), len(known)


def _read_image(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        load_modality("image").inspect(data, Limits())
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", hint="paths in PAIRS.csv start from the folder that it lies in"
        ) from error
    except BadRecord as bad:
        raise InputError(f"{path} cannot be read as an image: {bad.detail or bad.reason}") from bad
    return data
