"""The laws of `curate.embedders.Embedder`, held by every embedder that is registered."""

from __future__ import annotations

import re

import numpy as np
import pytest

from curate import plugins
from curate.embedders import EmbedderOptions
from curate.errors import SettingError
from embedders.tiny_models import png

TEXTS = [
    "Where is my new card?",
    "",
    " ",
    "a",
    "the card has not arrived " * 60,
    "日本語のテキスト",
    "Привет, мир!",
    "\x00 \t\n",
    "👩‍👩‍👧 emoji",
    *(f"my card {number} has not arrived" for number in range(90)),
]


@pytest.fixture(scope="module", params=plugins.names("embedders"))
def make(request, tiny_sentence_transformer, tiny_clip, static_folder):
    """A maker of the embedder, with the model or folder that it needs."""
    name = request.param
    extra = {
        "sentence-transformers": {"model": str(tiny_sentence_transformer)},
        "clip": {"model": str(tiny_clip)},
        "static": {"folder": static_folder},
    }.get(name, {})
    return lambda **options: plugins.load("embedders", name)(
        EmbedderOptions(**{"threads": 2, "device": "cpu", **extra, **options})
    )


@pytest.fixture(scope="module")
def embedder(make):
    made = make()
    yield made
    made.close()


def contents(embedder, modality):
    return (embedder.embed_texts, TEXTS) if modality == "text" else (embedder.embed_images, [png(seed) for seed in range(40)])


def test_it_says_what_it_is(embedder):
    assert embedder.modalities and embedder.modalities <= {"text", "image"}
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,50}", embedder.slug)
    assert re.fullmatch(r"[0-9a-f]{16,}", embedder.fingerprint)
    assert embedder.dimension > 0 and embedder.description and "\n" not in embedder.description
    assert embedder.default_threshold is None or 0 < embedder.default_threshold < 1


def test_every_content_gets_a_unit_vector_and_progress_adds_up(embedder):
    for modality in embedder.modalities:
        embed, items = contents(embedder, modality)
        told: list[int] = []
        vectors = embed(items, told.append)
        assert vectors.shape == (len(items), embedder.dimension) and vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert sum(told) == len(items)


def test_nothing_in_gives_nothing_out(embedder):
    for modality in embedder.modalities:
        assert contents(embedder, modality)[0]([]).shape == (0, embedder.dimension)


def test_a_vector_depends_on_its_content_alone(embedder):
    for modality in embedder.modalities:
        embed, items = contents(embedder, modality)
        whole = embed(items)
        order = np.random.default_rng(0).permutation(len(items))
        np.testing.assert_allclose(embed([items[row] for row in order]), whole[order], atol=1e-5)
        for row in (0, 1, len(items) - 1):
            np.testing.assert_allclose(embed([items[row]])[0], whole[row], atol=1e-5)


def test_threads_move_no_vector_and_a_second_load_has_the_same_fingerprint(make, embedder):
    other = make(threads=1)
    assert other.fingerprint == embedder.fingerprint and other.slug == embedder.slug
    for modality in embedder.modalities:
        embed, items = contents(embedder, modality)
        np.testing.assert_allclose(contents(other, modality)[0](items), embed(items), atol=1e-5)
    other.close()


def test_a_side_that_it_lacks_is_refused_with_a_hint(embedder):
    for modality in {"text", "image"} - embedder.modalities:
        embed, items = contents(embedder, modality)
        with pytest.raises(SettingError) as refusal:
            embed(items)
        assert refusal.value.hint
