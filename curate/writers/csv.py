"""CSV after RFC 4180: `train.csv`, UTF-8, a header line; images in files under `images/`, named by their path.

A spreadsheet runs a cell that starts with `=`, `+`, `-`, `@`, a tab or a carriage return, so such texts are prefixed with an
apostrophe and counted; `raw` leaves them. A missing value is an empty cell, an empty text is `""`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from curate.records import ANY
from curate.writers import ExportInfo, ExportRow, Written
from curate.writers.layout.files import check_request, flag
from curate.writers.layout.tables import write_tables

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_QUOTED = ('"', ",", "\n", "\r")


class CsvWriter:
    """One line a row, except where a text has line breaks of its own."""

    modalities: ClassVar[frozenset[str]] = ANY
    options: ClassVar[dict[str, str]] = {"raw": "leave cells as they are that a spreadsheet would run as formulas"}

    def write(self, rows: Iterator[ExportRow], folder: Path, info: ExportInfo) -> Written:
        """Write every row; see `Writer.write`."""
        check_request("csv", info, self.modalities, self.options)
        cells = _Cells(raw=flag(info, "raw"))
        written = write_tables(
            rows,
            folder,
            info,
            suffix=".csv",
            head=lambda names: cells.line(list(names)),
            line=lambda names, values: cells.line(values),
        )
        if not cells.prefixed:
            return written
        note = (
            f"{cells.prefixed} cells that a spreadsheet would run as formulas were prefixed with an apostrophe; raw leaves them"
        )
        return replace(written, notes=(*written.notes, note))


class _Cells:
    """Writes cells, and counts those it prefixed."""

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self.prefixed = 0

    def line(self, values: list[Any]) -> str:
        return ",".join(map(self._cell, values)) + "\n"

    def _cell(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str):
            return repr(value)
        text: str = value
        if text.startswith(_FORMULA) and not self._raw:
            self.prefixed += 1
            text = "'" + text
        if not text or text != text.strip() or any(mark in text for mark in _QUOTED):
            return '"' + text.replace('"', '""') + '"'
        return text


PLUGIN = CsvWriter
