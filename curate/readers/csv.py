"""Comma-separated files: the first row names the fields, every value is text, quoted cells may hold line ends."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from typing import BinaryIO, ClassVar

from curate.readers import ReadOptions
from curate.readers.opening.streams import Broken
from curate.readers.parsing.lines import line_blocks
from curate.records import Record, Reject


class CsvReader:
    """Reads `.csv`; a header without a comma but with a semicolon, bar or tab is cut there."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv",)
    kind: ClassVar[str] = "rows"
    delimiter: ClassVar[str | None] = None

    def __init__(self, options: ReadOptions) -> None:
        self._max_bytes = options.max_record_bytes
        if csv.field_size_limit() < self._max_bytes:
            csv.field_size_limit(self._max_bytes)

    @classmethod
    def example(cls) -> bytes:
        """A small valid file."""
        return b'text,label\r\n"one, two",a\r\n"three\nfour",b\r\n'

    def read(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        """Yield a record a row, located as "row 3", from 1 behind the header; blank lines are no rows.

        A row with more or fewer cells than the header is a reject `ragged-row`, broken quoting `invalid-csv`.
        """
        lines = _Lines(stream, self._max_bytes)
        try:
            yield from self._rows(lines)
        except Broken as error:
            if error.reason != "invalid-utf16":
                raise
            yield Reject("end", error.reason, error.detail)

    def _rows(self, lines: _Lines) -> Iterator[Record | Reject]:
        delimiter = self.delimiter or _sniff(lines.peek())
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            header = next((row for row in rows if row), None)
        except csv.Error as error:
            yield Reject("header", "invalid-csv", str(error)[:200])
            return
        if header is None:
            return
        if problem := lines.problem():
            yield Reject("header", problem)
            return
        names = unique_names(header)
        width = len(names)
        number = 0
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:
                number += 1
                lines.problem()
                reason = "too-large" if "field limit" in str(error) else "invalid-csv"
                yield Reject(f"row {number}", reason, str(error)[:200])
                continue
            if row is None:
                return
            if not row and not lines.dirty:
                continue
            number += 1
            if lines.dirty and (problem := lines.problem()):
                yield Reject(f"row {number}", problem, _excerpt(row))
            elif len(row) == width:
                yield Record(f"row {number}", dict(zip(names, row, strict=True)))
            else:
                yield Reject(f"row {number}", "ragged-row", f"{len(row)} cells, the header has {width}: {_excerpt(row)}"[:200])


class _Lines:
    """Decoded lines for `csv.reader`, and what was wrong with those that it took since it was last asked."""

    def __init__(self, stream: BinaryIO, max_bytes: int) -> None:
        self._blocks = line_blocks(stream, max_bytes)
        self._ready: list[bytes | None] = []
        self._next = 0
        self.dirty = ""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
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

    def peek(self) -> str:
        """The first line, left where it is."""
        try:
            line = next(self)
        except StopIteration:
            return ""
        self._next -= 1
        self.dirty = ""
        return line

    def problem(self) -> str:
        """Give the reason why the row at hand cannot be taken, and forget it."""
        found, self.dirty = self.dirty, ""
        return found


def unique_names(header: list[str]) -> list[str]:
    """Name every column: a repeated name becomes "name_2", an empty one "column_3"."""
    names: list[str] = []
    taken = set(header)
    for position, cell in enumerate(header, 1):
        name = cell.strip() or f"column_{position}"
        base, count = name, 1
        while name in names or (count > 1 and name in taken):
            count += 1
            name = f"{base}_{count}"
        names.append(name)
    return names


def _sniff(line: str) -> str:
    outside = "".join(line.removeprefix(codecs.BOM_UTF8.decode()).split('"')[::2])
    if "," in outside:
        return ","
    return max(";|\t", key=outside.count) if any(sign in outside for sign in ";|\t") else ","


def _excerpt(row: list[str]) -> str:
    return " | ".join(row)[:160]


PLUGIN = CsvReader
