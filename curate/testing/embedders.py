"""The laws of `curate.embedders.Embedder`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.embedders import Embedder, EmbedderOptions
from curate.errors import SettingError
from curate.testing.contents import noise_picture
from curate.testing.laws import hold, refused, require

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


def check_embedder(embedder: type[Embedder]) -> None:
    """Hold an embedder, loaded as its `example` says, to the laws of its family.

    Raises:
        AssertionError: a law is broken.
    """
    with tempfile.TemporaryDirectory(prefix="curate-check-") as folder:
        options = embedder.example(Path(folder))
        loaded = embedder(options)
        try:
            hold(LAWS, _Case(embedder, options, loaded), embedder.__name__)
        finally:
            loaded.close()


@dataclass(frozen=True)
class _Case:
    """An embedder's class, how it was loaded, and it itself."""

    kind: type[Embedder]
    options: EmbedderOptions
    loaded: Embedder


_Embed = Callable[..., NDArray[np.float32]]


def _contents(embedder: Embedder, modality: str) -> tuple[_Embed, Sequence[Any]]:
    if modality == "text":
        return embedder.embed_texts, TEXTS
    return embedder.embed_images, [noise_picture(seed) for seed in range(40)]


def _it_says_what_it_is(case: _Case) -> None:
    embedder = case.loaded
    require(embedder.modalities, "it embeds nothing")
    require(re.fullmatch(r"[a-z][a-z0-9_]{0,50}", embedder.slug), f"the slug cannot name a table: {embedder.slug!r}")
    require(re.fullmatch(r"[0-9a-f]{16,}", embedder.fingerprint), f"the fingerprint is no hex digest: {embedder.fingerprint!r}")
    require(embedder.dimension > 0, f"vectors of dimension {embedder.dimension}")
    require(embedder.description and "\n" not in embedder.description, "the description is one line")
    threshold = embedder.default_threshold
    require(threshold is None or 0 < threshold < 1, f"a default threshold of {threshold}")


def _every_content_gets_a_unit_vector_and_progress_adds_up(case: _Case) -> None:
    for modality in case.loaded.modalities:
        embed, items = _contents(case.loaded, modality)
        told: list[int] = []
        vectors = embed(items, told.append)
        require(vectors.shape == (len(items), case.loaded.dimension), f"{len(items)} items give vectors {vectors.shape}")
        require(vectors.dtype == np.float32, f"vectors are float32, not {vectors.dtype}")
        require(_near(np.linalg.norm(vectors, axis=1), 1), "a vector is not of length 1")
        require(sum(told) == len(items), f"progress of {sum(told)} for {len(items)} items")


def _nothing_in_gives_nothing_out(case: _Case) -> None:
    for modality in case.loaded.modalities:
        shape = _contents(case.loaded, modality)[0]([]).shape
        require(shape == (0, case.loaded.dimension), f"nothing gives vectors {shape}")


def _a_vector_depends_on_its_content_alone(case: _Case) -> None:
    for modality in case.loaded.modalities:
        embed, items = _contents(case.loaded, modality)
        whole = embed(items)
        order = np.random.default_rng(0).permutation(len(items))
        require(_near(embed([items[row] for row in order]), whole[order]), "in another order, vectors differ")
        for row in (0, 1, len(items) - 1):
            require(_near(embed([items[row]])[0], whole[row]), f"alone, item {row} has another vector")


def _threads_move_no_vector_and_a_second_load_has_the_same_fingerprint(case: _Case) -> None:
    other = case.kind(replace(case.options, threads=1))
    try:
        require(other.fingerprint == case.loaded.fingerprint, "loaded again, it has another fingerprint")
        require(other.slug == case.loaded.slug, "loaded again, it has another slug")
        for modality in case.loaded.modalities:
            embed, items = _contents(case.loaded, modality)
            require(_near(_contents(other, modality)[0](items), embed(items)), "with one thread, vectors differ")
    finally:
        other.close()


def _a_side_that_it_lacks_is_refused_with_a_hint(case: _Case) -> None:
    for modality in {"text", "image"} - case.loaded.modalities:
        embed, items = _contents(case.loaded, modality)
        with refused(SettingError, f"a modality that it lacks ({modality})") as met:
            embed(items)
        require(met[0].hint, "the refusal has no hint")


LAWS = (
    _it_says_what_it_is,
    _every_content_gets_a_unit_vector_and_progress_adds_up,
    _nothing_in_gives_nothing_out,
    _a_vector_depends_on_its_content_alone,
    _threads_move_no_vector_and_a_second_load_has_the_same_fingerprint,
    _a_side_that_it_lacks_is_refused_with_a_hint,
)


def _near(found: NDArray[np.floating[Any]], expected: Any) -> bool:
    return bool(np.allclose(found, expected, rtol=1e-7, atol=1e-5))
