"""Draws rows as a table that fits the terminal, and says what it left out."""

from __future__ import annotations

import decimal
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

ROWS = 40
_LEAST_WIDTH = 6
_GAP = "  "


def draw(names: Sequence[str], rows: Iterable[Sequence[Any]], *, width: int, limit: int = ROWS) -> str:
    """Draw a table; numbers stand right, NULL is written out, cut cells end in "…".

    Args:
        rows: all of them; those beyond `limit` are counted and not shown.
        width: cells of the terminal.
    """
    shown: list[list[tuple[str, bool]]] = []
    total = 0
    for row in rows:
        total += 1
        if total <= limit:
            shown.append([_cell(value) for value in row])
    wanted = [max([_width(_one_line(name)), *(_width(line[column][0]) for line in shown)]) for column, name in enumerate(names)]
    widths, hidden = _fit(wanted, width)
    right = [all(line[column][1] for line in shown) and bool(shown) for column in range(len(names))]
    lines = [
        _GAP.join(_pad(_one_line(name), w, r) for name, w, r in zip(names, widths, right, strict=False)).rstrip(),
        _GAP.join("─" * w for w in widths),
    ]
    for line in shown:
        lines.append(_GAP.join(_pad(cell[0], w, r) for cell, w, r in zip(line, widths, right, strict=False)).rstrip())
    if total > limit:
        lines.append(f"… {total - limit:,} more rows; -o FILE takes all")
    if hidden:
        lines.append(f"… {hidden} more columns do not fit: {', '.join(map(_one_line, names[len(widths) :]))}")
    lines.append(f"({total:,} row{'' if total == 1 else 's'})")
    return "\n".join(lines)


def _fit(wanted: list[int], width: int) -> tuple[list[int], int]:
    """Narrow the widest columns until all fit, and hide the last ones where even that does not help."""
    count = len(wanted)
    while count > 1 and sum(min(w, _LEAST_WIDTH) for w in wanted[:count]) + len(_GAP) * (count - 1) > width:
        count -= 1
    room = max(width - len(_GAP) * (count - 1), count)
    widths = list(wanted[:count])
    cap = max(widths, default=0)
    while sum(min(w, cap) for w in widths) > room and cap > 1:
        cap -= 1
    widths = [min(w, cap) for w in widths]
    spare = room - sum(widths)
    for column, full in enumerate(wanted[:count]):  # what rounding left over goes to the first that were cut
        if spare and widths[column] < full:
            widths[column] += 1
            spare -= 1
    return widths, len(wanted) - count


def _cell(value: Any) -> tuple[str, bool]:
    """The text of a value, and whether it stands right."""
    from curate.reporting.query_output import as_json, plain

    if value is None:
        return "NULL", True
    inner = plain(value) if not isinstance(value, float) else value
    if isinstance(inner, bool):
        return str(inner).lower(), False
    if isinstance(inner, float):
        return f"{inner:.6g}", True
    if isinstance(inner, int | decimal.Decimal):
        return format(inner, "f") if isinstance(inner, decimal.Decimal) else str(inner), True
    if isinstance(inner, list | dict):
        return _one_line(as_json(inner)), False
    return _one_line(str(inner)), False


def _one_line(text: str) -> str:
    """White space squeezed, and control characters, which could drive the terminal, made visible."""
    return "".join(c if unicodedata.category(c)[0] != "C" else "�" for c in " ".join(text.split()))


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _pad(text: str, width: int, right: bool) -> str:
    if _width(text) > width:
        kept, used = [], 0
        for character in text:
            used += _character_width(character)
            if used > width - 1:
                break
            kept.append(character)
        text = "".join(kept) + "…"
    blank = " " * (width - _width(text))
    return blank + text if right else text + blank
