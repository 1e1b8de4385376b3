"""What of a sample is shown on the report's page: thumbnails that fit a budget, excerpts, marked differences."""

from __future__ import annotations

import base64
import difflib
import io
import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from curate.workspace import BlobStore

SIDE = 128  # pixels of a thumbnail
EXCERPT = 280  # characters
_PIXEL_ART = 64  # an image no larger is sent as it is, and enlarged with square pixels
_TOKENS = 1500  # of a text are compared
_CONTEXT = 14  # tokens around a difference


class Thumbnail(NamedTuple):
    """An image as a data: URI, with the size of the original in pixels."""

    uri: str
    width: int
    height: int
    is_tiny: bool


class Piece(NamedTuple):
    """A stretch of a text beside another one: same, added, removed, or left out of the page."""

    kind: str
    text: str


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


def visible(text: str) -> str:
    """A text without control characters, which a browser would refuse or obey."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cs", "Co") and c not in "\n\t" else c for c in text
    )


def excerpt(text: str | None, limit: int = EXCERPT) -> str:
    """The first characters of a text; what is cut is counted."""
    if text is None:
        return ""
    cut = visible(text[:limit])
    return cut if len(text) <= limit else f"{cut}… ({len(text) - limit:,} more characters)"


def differences(keeper: str, other: str) -> tuple[Piece, ...]:
    """What another text has and lacks beside the keeper; long equal stretches are left out.

    Only the first 1,500 words and gaps are compared; a last piece says so where there are more.
    """
    ours, theirs = re.findall(r"\s+|\w+|[^\w\s]", keeper), re.findall(r"\s+|\w+|[^\w\s]", other)
    beyond = len(ours) > _TOKENS or len(theirs) > _TOKENS
    ours, theirs = ours[:_TOKENS], theirs[:_TOKENS]
    pieces: list[Piece] = []
    blocks = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    for n, (kind, a, b, c, d) in enumerate(blocks):
        if kind == "equal":
            pieces += _context(theirs[c:d], first=n == 0, last=n == len(blocks) - 1)
            continue
        if b > a:
            pieces.append(Piece("removed", visible("".join(ours[a:b]))))
        if d > c:
            pieces.append(Piece("added", visible("".join(theirs[c:d]))))
    if beyond:
        pieces.append(Piece("gap", f"… (only the first {_TOKENS:,} words and marks are compared)"))
    return tuple(Piece(p.kind, excerpt(p.text, 400)) for p in pieces[:60]) + (
        (Piece("gap", f"… ({len(pieces) - 60:,} more pieces)"),) if len(pieces) > 60 else ()
    )


def _context(tokens: list[str], *, first: bool, last: bool) -> list[Piece]:
    head, tail = (0 if first else _CONTEXT), (0 if last else _CONTEXT)
    if first and last:
        return [Piece("same", excerpt("".join(tokens)))]
    if len(tokens) <= head + tail + _CONTEXT:
        return [Piece("same", visible("".join(tokens)))]
    around = [Piece("gap", " … ")]
    if head:
        around.insert(0, Piece("same", visible("".join(tokens[:head]))))
    if tail:
        around.append(Piece("same", visible("".join(tokens[-tail:]))))
    return around
