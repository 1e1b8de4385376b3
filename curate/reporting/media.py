"""What of a sample is shown on the report's page: thumbnails that fit a budget, excerpts, marked differences."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import NamedTuple

from curate.modalities import load_modality, modality_of
from curate.workspace import BlobStore

SIDE = 128  # pixels of a thumbnail


class Thumbnail(NamedTuple):
    """An image as a data: URI, with the size of the original in pixels."""

    uri: str
    width: int
    height: int
    is_tiny: bool


@dataclass(slots=True)
class Thumbnails:
    """Makes thumbnails until a budget of bytes is used up, and counts what it could not show."""

    budget_bytes: int
    shown: int = 0
    over_budget: int = 0
    unreadable: int = 0

    def of(self, store: BlobStore, blob: str | None) -> Thumbnail | None:
        """The thumbnail of a blob; None where it is gone, does not decode, would not fit, or is of a kind that has none."""
        if blob is None:
            return None
        try:
            data = store.read(blob)
            made = load_modality(modality_of(data)).preview(data, SIDE)
        except (OSError, ValueError):
            self.unreadable += 1
            return None
        if made is None:
            return None
        uri = f"data:{made.kind};base64," + base64.b64encode(made.data).decode()
        if len(uri) > self.budget_bytes:
            self.over_budget += 1
            return None
        self.budget_bytes -= len(uri)
        self.shown += 1
        return Thumbnail(uri, made.width, made.height, made.is_tiny)
