"""What metrics see of samples: features, made without the embedder that filtered the draws.

Images become pixels of one small size, and the last hidden layer of a small network trained on the real train part. Texts
become TF-IDF of hashed words and character runs, brought to a few dimensions by singular vectors of the real train part. Any
embedder can be named beside these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.catalog import vectors
from curate.catalog.models import ModelRow
from curate.embedding.missing import embed_dataset, embed_missing
from curate.embedding.specs import canonical_spec, loaded
from curate.errors import InputError
from curate.generators import Examples, Lazy
from curate.generators.images.pixels import choose_shape, stack
from curate.metrics import Samples, Space
from curate.workspace import Workspace

MOST_SIDE = 32  # pixels
TEXT_DIMENSIONS = 128
_HASHES = 2**16
SIDES = ("train", "test", "synthetic")


@dataclass(frozen=True, slots=True)
class Material:
    """The three sides, the spaces that they have features in, and what must be said about them."""

    sides: Mapping[str, Samples]
    spaces: tuple[Space, ...]
    notes: tuple[str, ...]


def embedder_features(
    workspace: Workspace, model: ModelRow, tables: Mapping[str, pa.Table], spec: str, modality: str
) -> tuple[Space, dict[str, NDArray[np.float32]]]:
    """Vectors of a named embedder for every side, computed and stored where they are not there yet.

    Raises:
        SettingError: the embedder cannot be shown this modality.
        InputError: its model cannot be found or read.
    """
    spec = canonical_spec(spec)
    embed_dataset(workspace, model.dataset, embedder=spec)
    with loaded(workspace, spec) as embedder:
        embed_missing(workspace, embedder, model.dataset_id, [modality], origin="synthetic")
        slug, description = embedder.slug, embedder.description
    found = {}
    for side, table in tables.items():
        ids = table["sample_id"].to_numpy().astype(np.int64)
        known, matrix = vectors.load(
            workspace.catalog, slug, sample_ids=ids, origin="synthetic" if side == "synthetic" else "real"
        )
        if len(known) != len(ids):
            raise InputError(f"{len(ids) - len(known)} samples of the {side} side have no {slug} vector", hint="curate check")
        found[side] = matrix[np.searchsorted(known, ids)]
    return Space(slug, description), found


def image_material(workspace: Workspace, tables: Mapping[str, pa.Table], *, seed: int) -> Material:
    """Pixels of every side in the shape of the real train part, and the small network's features.

    Raises:
        WorkspaceDamaged: a blob cannot be read or decoded.
    """
    encoded = {side: _encoded(workspace, side, table) for side, table in tables.items()}
    shape = choose_shape(encoded["train"], max_side=MOST_SIDE)
    pixels, notes = {}, []
    for side, examples in encoded.items():
        workspace.progress.start(f"decoding {side}", total=len(examples), unit="images")
        pixels[side], scaled = stack(examples, shape)
        workspace.progress.finish()
        if scaled:
            notes.append(f"{scaled:,} {side} images were scaled to {shape.width}×{shape.height} pixels")
    spaces = [Space("pixels", f"{shape.width}×{shape.height}×{shape.channels} pixels, 0 to 1")]
    features: dict[str, dict[str, NDArray[np.float32]]] = {
        side: {"pixels": np.divide(stacked.reshape(len(stacked), -1), 255, dtype=np.float32)}
        for side, stacked in pixels.items()
    }
    labels = {side: table["label"].to_pylist() for side, table in tables.items()}
    labelled = [row for row, label in enumerate(labels["train"]) if label is not None]
    if len({labels["train"][row] for row in labelled}) > 1:
        from curate.metrics.probes.small_network import HIDDEN, SmallNetwork

        network = SmallNetwork(pixels["train"][labelled], [labels["train"][row] for row in labelled], seed=seed)
        about = (
            f"last hidden layer ({HIDDEN}) of a small convolutional network trained on {len(labelled):,} labelled real train"
            " images"
        )
        spaces.append(Space("small-network", about, supervised=True))
        for side, stacked in pixels.items():
            features[side]["small-network"] = network.features(stacked)
    else:
        notes.append("small-network features need two labels in the train part, so there are none")
    sides = {side: Samples(labels[side], features[side], pixels=pixels[side]) for side in tables}
    return Material(sides, tuple(spaces), tuple(notes))


def text_material(tables: Mapping[str, pa.Table], *, seed: int) -> Material:
    """TF-IDF of hashed words, word pairs and character runs, reduced by singular vectors of the real train part."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import Normalizer

    texts = {side: table["text"].to_pylist() for side, table in tables.items()}
    dimensions = min(TEXT_DIMENSIONS, len(texts["train"]) - 1)
    hashes = make_union(
        HashingVectorizer(
            n_features=_HASHES,
            ngram_range=(1, 2),
            token_pattern=r"(?u)\b\w+\b",  # noqa: S106 (no password: words of one letter count too)
            alternate_sign=False,
            norm=None,
        ),
        HashingVectorizer(n_features=_HASHES, ngram_range=(3, 5), analyzer="char_wb", alternate_sign=False, norm=None),
    )
    reduce = make_pipeline(
        hashes, TfidfTransformer(sublinear_tf=True), TruncatedSVD(dimensions, random_state=seed), Normalizer()
    )
    reduce.fit(texts["train"])
    features = {side: {"tfidf-svd": reduce.transform(rows).astype(np.float32)} for side, rows in texts.items()}
    about = (
        f"TF-IDF of hashed words, word pairs and runs of 3 to 5 characters, reduced to {dimensions} dimensions by the"
        f" singular vectors"
        f" of {len(texts['train']):,} real train texts"
    )
    sides = {side: Samples(tables[side]["label"].to_pylist(), features[side], texts=texts[side]) for side in tables}
    return Material(sides, (Space("tfidf-svd", about),), ())


def _encoded(workspace: Workspace, side: str, table: pa.Table) -> Examples:
    store = workspace.synthetic if side == "synthetic" else workspace.real
    blobs = table["blob"].to_pylist()
    media = Lazy(len(blobs), lambda row: store.read(blobs[row]))
    return Examples(media=media, label=table["label"].to_pylist(), ids=table["sample_id"].to_pylist())
