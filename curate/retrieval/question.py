"""What is looked for, and the vector of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curate.catalog import vectors
from curate.catalog.datasets import Dataset
from curate.catalog.searching import extent
from curate.catalog.vectors import EmbedderRow
from curate.embedders import Embedder
from curate.embedding.specs import canonical_spec, default_spec, loaded, spec_modalities
from curate.errors import BadRecord, InputError, SettingError
from curate.modalities import Limits, load_modality
from curate.retrieval.querying import checked
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Question:
    """Exactly one of a text, an image file, and a sample whose neighbours are wanted.

    Raises:
        SettingError: it is none or several, or the text is blank.
    """

    text: str | None = None
    image: str | Path | None = None
    like: int | None = None

    def __post_init__(self) -> None:
        """Check that there is something to look for."""
        if sum(given is not None for given in (self.text, self.image, self.like)) != 1:
            raise SettingError(
                "search needs one of a text, an image and a sample", hint='curate search "TEXT", or --image FILE, or --like ID'
            )
        if self.text is not None and not self.text.strip():
            raise SettingError("a blank text is near to nothing", hint='curate search "TEXT"')

    @property
    def modality(self) -> Literal["text", "image"]:
        """What an embedder is shown of it."""
        return "text" if self.text is not None else "image"


def choose_embedder(
    workspace: Workspace, dataset: Dataset | None, question: Question, embedder: str | Embedder | None
) -> EmbedderRow:
    """The embedder whose vectors are searched.

    Raises:
        InputError: there are no vectors, or not by the embedder that was named, or no such sample.
        SettingError: the vectors cannot be compared with what is looked for.
    """
    catalog = workspace.catalog
    place = dataset.dataset_id if dataset else None
    where = repr(dataset.name) if dataset else "this workspace"
    target = dataset.name if dataset else "DATASET"
    rows = [row for row in vectors.embedders(catalog) if extent(catalog, row.slug, place).entries]
    if embedder is not None:
        spec = canonical_spec(embedder) if isinstance(embedder, str) else None
        named = [row for row in rows if (row.spec == spec if spec else row.slug == getattr(embedder, "slug", None))]
        if not named:
            raise InputError(
                f"{where} has no vectors by {spec or 'that embedder'}",
                hint=f"curate embed {target} --embedder {spec or 'NAME'}",
            )
        rows = named
    if not rows:
        raise InputError(f"{where} has no vectors yet", hint=f"curate embed {target}")
    if question.like is not None:
        return _embedder_of_sample(workspace, rows, question.like)
    modality = question.modality
    able = [row for row in rows if modality in spec_modalities(row.spec)]
    if not able:
        other, option = ("image", "--image FILE") if modality == "text" else ("text", "a text")
        raise SettingError(
            f"the vectors of {where} ({', '.join(row.slug for row in rows)}) can be searched by {other}, not by {modality}",
            hint=f"{option}, or embed with a model that takes both: curate embed {target} --embedder clip:MODEL",
        )
    preferred = default_spec(workspace, modality)
    return next((row for row in able if row.spec == preferred), able[0])


def _embedder_of_sample(workspace: Workspace, rows: list[EmbedderRow], like: int) -> EmbedderRow:
    have = set(vectors.having(workspace.catalog, like))
    able = [row for row in rows if row.slug in have]
    sample = vectors.found(workspace.catalog, np.array([like], np.int64)).get(like)
    if sample is None:
        raise InputError(f"there is no sample {like}", hint='curate sql "SELECT sample_id FROM samples LIMIT 5"')
    if not able:
        raise InputError(f"sample {like} has no vector to compare", hint=f"curate embed {sample.dataset}")
    preferred = default_spec(workspace, sample.modality)
    return next((row for row in able if row.spec == preferred), able[0])


def question_vector(
    workspace: Workspace, row: EmbedderRow, question: Question, embedder: str | Embedder | None
) -> NDArray[np.float32]:
    """(dimension,) the vector of what is looked for.

    Raises:
        InputError: the image cannot be read.
        SettingError: the embedder is another model or version than the one that made the vectors.
    """
    text, image, like = question.text, question.image, question.like
    if like is not None:
        found = vectors.load(workspace.catalog, row.slug, sample_ids=np.array([like], np.int64), origin="all")[1]
        stored: NDArray[np.float32] = found[0]
        return stored
    data = _read_file(Path(image)) if image is not None else b""
    with loaded(workspace, row.spec if embedder is None or isinstance(embedder, str) else embedder) as model:
        checked(model, row)
        if text is not None:
            of_text: NDArray[np.float32] = model.embed_texts([text])[0]
            return of_text
        try:
            load_modality("image").inspect(data, Limits())
        except BadRecord as bad:
            raise InputError(f"{image} cannot be read as an image: {bad.detail or bad.reason}") from bad
        of_image: NDArray[np.float32] = model.embed_images([data])[0]
        return of_image


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="--image FILE") from error
