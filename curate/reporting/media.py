"""What of a sample is shown on the report's page: thumbnails that fit a budget, excerpts, marked differences."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from curate.workspace import BlobStore

SIDE = 128  # pixels of a thumbnail
_PIXEL_ART = 64  # an image no larger is sent as it is, and enlarged with square pixels


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
        """The thumbnail of a blob; None where it is gone, does not decode, or would not fit."""
        if blob is None:
            return None
        try:
            media, size, is_tiny = _shrunk(store.read(blob))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            self.unreadable += 1
            return None
        uri = f"data:image/{'png' if is_tiny else 'webp'};base64," + base64.b64encode(media).decode()
        if len(uri) > self.budget_bytes:
            self.over_budget += 1
            return None
        self.budget_bytes -= len(uri)
        self.shown += 1
        return Thumbnail(uri, *size, is_tiny)


def _shrunk(media: bytes) -> tuple[bytes, tuple[int, int], bool]:
    """Encode anew, so that no metadata travels; a large JPEG is decoded at the scale that is needed."""
    with Image.open(io.BytesIO(media)) as image:
        size = image.size
        image.draft("RGB", (SIDE, SIDE))
        picture = _eight_bit(image)
    is_tiny = max(size) <= _PIXEL_ART
    picture.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True) if is_tiny else picture.save(out, "WEBP", quality=72)
    return out.getvalue(), size, is_tiny


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
