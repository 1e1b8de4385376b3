"""Comma-separated files: the first row names the fields, every value is text, quoted cells may hold line ends."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO, ClassVar

from curate.readers import ReadOptions
from curate.readers.opening.streams import Broken
from curate.readers.parsing.csv_lines import CsvLines, Dialect, guess_dialect, swallowed
from curate.records import Record, Reject


class CsvReader:
    """Reads `.csv`; the sign that cuts the lines is guessed from the first ones, or said by a first line `sep=;`."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv",)
    kind: ClassVar[str] = "rows"
    dialect: ClassVar[Dialect | None] = None

    def __init__(self, options: ReadOptions) -> None:
        self._max_bytes = options.max_record_bytes
        self._told = (options.delimiter, options.quote)
        if csv.field_size_limit() < self._max_bytes:
            csv.field_size_limit(self._max_bytes)

    @classmethod
    def example(cls) -> bytes:
        """A small valid file."""
        return b'text,label\r\n"one, two",a\r\n"three\nfour",b\r\n'

    def read(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        """Yield a record a row, located as "row 3", from 1 behind the header; blank lines are no rows.

        A row with more or fewer cells than the header is a reject `ragged-row`, broken quoting `invalid-csv`. Where a quote
        that nothing closes made a cell of lines that each are a row, they are read as rows, and the quote as a letter;
        where that is in doubt, the lines are one reject `doubtful-quote`.
        """
        lines = CsvLines(stream, self._max_bytes)
        try:
            yield from self._rows(lines)
        except Broken as error:
            if error.reason != "invalid-utf16":
                raise
            yield Reject("end", error.reason, error.detail)

    def _rows(self, lines: CsvLines) -> Iterator[Record | Reject]:
        dialect = (self.dialect or guess_dialect(lines)).told(*self._told)
        rows = csv.reader(lines, delimiter=dialect.delimiter, quoting=dialect.quoting, quotechar=dialect.quote, strict=True)
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
        number = 0
        while True:
            lines.forget()
            wrong = ""
            try:
                row = next(rows, None)
            except csv.Error as error:
                row, wrong = [], str(error)[:200] or "broken quoting"
            if row is None:
                return
            if not row and not lines.dirty and not wrong:
                continue
            number += 1
            yield from self._taken(lines, dialect, names, number, row, wrong)

    def _taken(
        self, lines: CsvLines, dialect: Dialect, names: list[str], number: int, row: list[str], wrong: str
    ) -> Iterator[Record | Reject]:
        """What one row of the file is: a record, a reject, or lines that a stray quote had swallowed."""
        where, width = f"row {number}", len(names)
        found = swallowed(lines.taken, dialect, width, closed=not wrong) if len(lines.taken) > 1 else None
        if found == "rows":
            first, *rest = lines.taken
            lines.give_back(rest)
            lines.problem()
            yield Record(where, dict(zip(names, dialect.literal(first), strict=True)))
        elif found == "doubt":
            lines.problem()
            yield Reject(where, "doubtful-quote", f"{len(lines.taken)} lines: {''.join(lines.taken)}"[:200])
        elif wrong:
            lines.problem()
            yield Reject(where, "too-large" if "field limit" in wrong else "invalid-csv", wrong)
        elif lines.dirty and (problem := lines.problem()):
            yield Reject(where, problem, _excerpt(row))
        elif len(row) == width:
            yield Record(where, dict(zip(names, row, strict=True)))
        else:
            yield Reject(where, "ragged-row", f"{len(row)} cells, the header has {width}: {_excerpt(row)}"[:200])


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


def _excerpt(row: list[str]) -> str:
    return " | ".join(row)[:160]


PLUGIN = CsvReader
