"""Tab-separated files: cells are cut at tabs, and a quote is a letter, as most programs that write them have it."""

from __future__ import annotations

import csv
from typing import ClassVar

from curate.readers.csv import CsvReader
from curate.readers.parsing.csv_lines import Dialect


class TsvReader(CsvReader):
    """Reads `.tsv` and `.tab`."""

    suffixes: ClassVar[tuple[str, ...]] = (".tsv", ".tab")
    dialect: ClassVar[Dialect | None] = Dialect("\t", csv.QUOTE_NONE)

    @classmethod
    def example(cls) -> bytes:
        """A small valid file."""
        return b"text\tlabel\none\ta\ntwo\tb\n"


PLUGIN = TsvReader
