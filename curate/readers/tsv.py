"""Tab-separated files, read as comma-separated ones are."""

from __future__ import annotations

from typing import ClassVar

from curate.readers.csv import CsvReader


class TsvReader(CsvReader):
    """Reads `.tsv` and `.tab`."""

    suffixes: ClassVar[tuple[str, ...]] = (".tsv", ".tab")
    delimiter: ClassVar[str | None] = "\t"

    @classmethod
    def example(cls) -> bytes:
        """A small valid file."""
        return b"text\tlabel\none\ta\ntwo\tb\n"


PLUGIN = TsvReader
