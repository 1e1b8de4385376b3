"""A sample that was found, as a person sees it."""

from __future__ import annotations

from dataclasses import dataclass

from curate.catalog.vectors import Found
from curate.workspace import Workspace

EXCERPT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Hit:
    """A sample that was found.

    Attributes:
        score: cosine, -1 to 1; for words, whatever the index rates them by.
        state: kept or dropped (real), accepted or refused (synthetic).
        excerpt: the start of its text, white space squeezed; None for an image.
        path: where its blob lies; None for a text.
    """

    sample_id: int
    score: float
    origin: str
    dataset: str
    label: str | None
    state: str
    excerpt: str | None
    path: str | None


def hit_of(workspace: Workspace, sample: Found, score: float) -> Hit:
    """A sample as a hit with its score."""
    store = workspace.real if sample.origin == "real" else workspace.synthetic
    return Hit(
        sample_id=sample.sample_id,
        score=round(score, 6),
        origin=sample.origin,
        dataset=sample.dataset,
        label=sample.label,
        state=sample.state,
        excerpt=excerpt(sample.text) if sample.text is not None else None,
        path=str(store.path(sample.blob)) if sample.blob is not None else None,
    )


def excerpt(text: str, characters: int = EXCERPT_CHARACTERS) -> str:
    """The start of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1] + "…"
