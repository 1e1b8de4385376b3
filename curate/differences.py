"""Where two texts differ, and how a text is shown in a line: control characters made visible, what is cut counted."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import NamedTuple

EXCERPT = 280  # characters


_TOKENS = 1000  # of a text are compared


_CONTEXT = 70  # characters around a difference


_PIECES = 40


class Piece(NamedTuple):
    """A stretch of a text beside another one: same, added, removed, or left out of the page."""

    kind: str
    text: str


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


def marked(keeper: str, other: str, *, removed: str = "[-{}-]", added: str = "{{+{}+}}") -> str:
    """A line that shows where another text differs from the keeper: what only the keeper has, and what only the other has.

    Args:
        removed, added: how either is marked.
    """
    shapes = {"removed": removed, "added": added}
    return " ".join("".join(shapes.get(p.kind, "{}").format(p.text) for p in differences(keeper, other)).split())
