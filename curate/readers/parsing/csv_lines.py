"""Lines for `csv.reader` that can be given back, the dialect of a file, and what a stray quote does to them.

A quote at the start of a cell that nobody meant opens a cell which ends at the next quote, perhaps hundreds of rows later, or
never. `csv.reader` calls that one row, and the rows in it are gone. They give themselves away: each line cuts into just as
many cells as the header has, which the lines of a real cell seldom do.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from curate.readers.parsing.lines import line_blocks

SIGNS = ",;\t|"
LOOKED_AT = 50
"""Lines from which a dialect is guessed."""
SURE_LINES = 5
"""So many lines that each cut like the header are rows, and no cell of prose."""


class Dialect(NamedTuple):
    """How lines are cut."""

    delimiter: str = ","
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL
    quote: str = '"'

    def told(self, delimiter: str | None, quote: str | None) -> Dialect:
        """This one, but for what a user said; a quote "" means that quotes are letters."""
        cut = delimiter or self.delimiter
        if quote is None:
            return Dialect(cut, self.quoting, self.quote)
        return Dialect(cut, csv.QUOTE_MINIMAL, quote) if quote else Dialect(cut, csv.QUOTE_NONE)

    def literal(self, line: str) -> list[str]:
        """The cells of one line, quotes being letters."""
        return next(csv.reader([line], delimiter=self.delimiter, quoting=csv.QUOTE_NONE), [])


class CsvLines:
    """Decoded lines for `csv.reader`, those that it took since it was last asked, and what was wrong with them.

    Attributes:
        taken: the lines since `forget`, as far as they are no longer than a record may be.
        dirty: why the row at hand cannot be taken; "" where it can.
    """

    def __init__(self, stream: BinaryIO, max_bytes: int) -> None:
        self._blocks = line_blocks(stream, max_bytes)
        self._ready: list[bytes | None] = []
        self._next = 0
        self._back: list[str] = []
        self.taken: list[str] = []
        self.dirty = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.pop() if self._back else self._fresh()
        self.taken.append(line)
        return line

    def _fresh(self) -> str:
        while self._next >= len(self._ready):
            _, lines = next(self._blocks)
            self._ready, self._next = ([None] if lines is None else list(lines)), 0
        line = self._ready[self._next]
        self._next += 1
        if line is None:
            self.dirty = "too-large"
            return ""
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError:
            self.dirty = "invalid-utf8"
            return line.decode("utf-8", "replace") + "\n"

    def peek(self, count: int) -> list[str]:
        """The next lines, left where they are."""
        seen: list[str] = []
        dirty = self.dirty
        while len(seen) < count:
            try:
                seen.append(next(self))
            except StopIteration:
                break
            if self.dirty != dirty:
                break
        self.give_back(seen if self.dirty == dirty else seen[:-1])
        if self.dirty != dirty:
            self._next -= 1  # the line that cannot be taken is met again, in its place
            self.dirty = dirty
            seen.pop()
        self.taken.clear()
        return seen

    def give_back(self, lines: list[str]) -> None:
        """Put lines back, to be read next, in this order."""
        self._back += reversed(lines)

    def forget(self) -> None:
        """Begin a new row."""
        self.taken.clear()

    def problem(self) -> str:
        """Give the reason why the row at hand cannot be taken, and forget it."""
        found, self.dirty = self.dirty, ""
        return found


def guess_dialect(lines: CsvLines) -> Dialect:
    """Guess by which sign the lines are cut, from the first ones; a first line `sep=;` says it, and is taken.

    The sign that cuts most lines into as many cells as the first one wins; among equals the one that makes more cells, then the
    comma.
    """
    seen = lines.peek(LOOKED_AT)
    if not seen:
        return Dialect()
    told = seen[0].strip().lower()
    if told.startswith("sep=") and len(told) == 5:
        next(lines)
        lines.forget()
        return Dialect(seen[0].strip()[4])
    if seen[0].strip().lower() == "sep=":  # "sep=\t", stripped
        next(lines)
        lines.forget()
        return Dialect("\t")
    return Dialect(max(SIGNS, key=lambda sign: _fit(seen, sign)))


def _fit(seen: list[str], sign: str) -> tuple[float, int]:
    """How well a sign cuts lines: the share of rows that have as many cells as the first, and how many cells that are."""
    rows = []
    try:
        for row in csv.reader(seen, delimiter=sign):
            if row:
                rows.append(len(row))
    except csv.Error:
        return 0.0, 0
    width = rows[0] if rows else 0
    if width < 2:
        return 0.0, width
    counted = rows[1:-1] or rows[1:]  # the last may have been cut by the end of what was looked at
    return (sum(cells == width for cells in counted) / len(counted) if counted else 1.0), width


def swallowed(taken: list[str], dialect: Dialect, width: int, *, closed: bool) -> Literal["rows", "doubt"] | None:
    """Whether the lines that a reader took for one row are rows, or may be.

    Args:
        width: cells of the header.
        closed: whether a quote ended the cell; the end of the file did otherwise, and then the lines are rows wherever the
            first one is.

    Returns:
        None where they are a row with line ends in a cell.
    """
    if width < 2 or len(dialect.literal(taken[0])) != width:
        return None
    if not closed:
        return "rows"
    if len(taken) < 3 or any(len(dialect.literal(line)) != width for line in taken[1:] if line.strip()):
        return None
    return "rows" if len(taken) >= SURE_LINES else "doubt"
