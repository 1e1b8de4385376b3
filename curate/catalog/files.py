"""The files that are under a seal: those of trained models, and the workspace's own settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from curate.catalog._connection import Catalog


class SealedFile(NamedTuple):
    """A file as it was when a run sealed it.

    Attributes:
        path: below the workspace, parts joined by '/'.
        model_id: None for a file of the workspace itself.
    """

    path: str
    model_id: int | None
    size_bytes: int
    content_hash: str


def sealed(catalog: Catalog, model_id: int | None = None) -> list[SealedFile]:
    """The sealed files of a model; None for every sealed file."""
    rows = catalog.rows(
        "SELECT path, model_id, size_bytes, content_hash FROM files WHERE ? IS NULL OR model_id = ? ORDER BY path",
        [model_id, model_id],
    )
    return [SealedFile(*row) for row in rows]


def seal(catalog: Catalog, found: Sequence[SealedFile], run_id: int) -> None:
    """Seal files, in the place of what was sealed under their paths before."""
    with catalog.transaction():
        for file in found:
            catalog.execute("DELETE FROM files WHERE path = ?", [file.path])
            catalog.execute(
                "INSERT INTO files (path, model_id, size_bytes, content_hash, run_id) VALUES (?, ?, ?, ?, ?)", [*file, run_id]
            )


def unsealed_models(catalog: Catalog) -> list[tuple[int, str, str]]:
    """(model_id, name, folder) of the trained models none of whose files is sealed."""
    return catalog.rows(
        """SELECT model_id, name, folder FROM models m
           WHERE checkpoint_hash IS NOT NULL AND NOT EXISTS (SELECT 1 FROM files f WHERE f.model_id = m.model_id)
           ORDER BY model_id"""
    )
