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
_TOKENS = 1000  # of a text are compared
_CONTEXT = 70  # characters around a difference
_PIECES = 40


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

    Only the first 1,000 words, marks and gaps are compared; a last piece says so where there are more.
    """
    ours, theirs = re.findall(r"\s+|\w+|[^\w\s]", keeper), re.findall(r"\s+|\w+|[^\w\s]", other)
    beyond = len(ours) > _TOKENS or len(theirs) > _TOKENS
    ours, theirs = ours[:_TOKENS], theirs[:_TOKENS]
    pieces: list[Piece] = []
    blocks = _blocks(ours, theirs)
    for n, (is_same, before, after) in enumerate(blocks):
        if is_same:
            pieces += _context(after, first=n == 0, last=n == len(blocks) - 1)
            continue
        pieces += [Piece(kind, excerpt(text, 200)) for kind, text in (("removed", before), ("added", after)) if text]
    ends = [Piece("gap", f"… ({len(pieces) - _PIECES:,} more pieces)")] if len(pieces) > _PIECES else []
    ends += [Piece("gap", f"… (only the first {_TOKENS:,} words and marks are compared)")] if beyond else []
    return (*pieces[:_PIECES], *ends)


def _blocks(ours: list[str], theirs: list[str]) -> list[tuple[bool, str, str]]:
    """Stretches in order: whether they are the same, ours, theirs; white space between two changes belongs to them."""
    codes = _opcodes(ours, theirs)
    blocks: list[tuple[bool, str, str]] = []
    for n, (kind, a, b, c, d) in enumerate(codes):
        before, after = "".join(ours[a:b]), "".join(theirs[c:d])
        is_same = kind == "equal" and not (before.isspace() and 0 < n < len(codes) - 1)
        if blocks and blocks[-1][0] == is_same:
            before, after = blocks[-1][1] + before, blocks[-1][2] + after
            blocks.pop()
        blocks.append((is_same, before, after))
    return blocks


def _opcodes(ours: list[str], theirs: list[str]) -> list[tuple[str, int, int, int, int]]:
    """difflib's opcodes, in little time for any text: its cost is cubic in tokens that repeat, so none of those anchors.

    Equal ends are taken off first, because a text of repeated tokens has no anchor at all.
    """
    shorter = min(len(ours), len(theirs))
    head = next((n for n in range(shorter) if ours[n] != theirs[n]), shorter)
    tail = next((n for n in range(shorter - head) if ours[-1 - n] != theirs[-1 - n]), shorter - head)
    a, b = ours[head : len(ours) - tail], theirs[head : len(theirs) - tail]
    codes: list[tuple[str, int, int, int, int]] = [("equal", 0, head, 0, head)] if head else []
    for kind, i, j, k, m in difflib.SequenceMatcher(str.isspace, a, b).get_opcodes():
        codes.append((kind, i + head, j + head, k + head, m + head))
    if tail:
        codes.append(("equal", len(ours) - tail, len(ours), len(theirs) - tail, len(theirs)))
    return codes


def _context(text: str, *, first: bool, last: bool) -> list[Piece]:
    """A stretch that both have: whole where it is short, else what of it touches a change."""
    if first and last:
        return [Piece("same", excerpt(text))]
    if len(text) <= 3 * _CONTEXT:
        return [Piece("same", visible(text))]
    head, tail = ("" if first else text[:_CONTEXT]), ("" if last else text[-_CONTEXT:])
    pieces = (Piece("same", visible(head)), Piece("gap", " … "), Piece("same", visible(tail)))
    return [piece for piece in pieces if piece.text]
