"""Readers turn files into records, one at a time, in bounded memory.

A reader plug-in (`curate/readers/<name>.py`, `PLUGIN = TheClass`) keeps the `Reader` contract: it is given an open binary
stream and yields a `Record` for each record and a `Reject` for each that cannot be taken; it never raises for bad
content and never skips in silence. Compression (`.gz`, `.zst`) and archives (tar, zip) are opened before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, ClassVar, Literal, Protocol

from curate.errors import SettingError
from curate.records import Record, Reject


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What every reader obeys.

    Attributes:
        split_on: how a text document becomes samples: whole ("file"), by blank lines, or by line ends.
        delimiter: the sign between the cells of CSV and TSV files; None to guess it.
        quote: the sign around cells that hold delimiters or line ends; "" for none, so that quotes are letters; None for the
            format's own: `"` in CSV, none in TSV.
        max_record_bytes: a longer single record (a line, a text file, an image file) is a reject `too-large`.
        max_pixels: an image of more pixels is a reject `too-many-pixels`, refused before it is decoded.
        max_members: an archive of more members stops with a reject `too-many-members` for the rest.
        max_unpacked_ratio: an archive or compressed file that unpacks to more than this many times its own size (and
            to more than 256 MiB) stops with a reject `unpacks-too-large` for the rest.

    Raises:
        SettingError: a delimiter or quote is not one character.
    """

    split_on: Literal["file", "paragraphs", "lines"] = "file"
    delimiter: str | None = None
    quote: str | None = None
    max_record_bytes: int = 64 * 2**20
    max_pixels: int = 100_000_000
    max_members: int = 50_000_000
    max_unpacked_ratio: float = 1000.0

    def __post_init__(self) -> None:
        for name, sign in (("delimiter", self.delimiter), ("quote", self.quote or None)):
            if sign is not None and (len(sign) != 1 or sign in "\r\n"):
                raise SettingError(f"a {name} is one character, got {sign!r}", hint=f"--{name} ';'")


class Reader(Protocol):
    """One file format."""

    suffixes: ClassVar[tuple[str, ...]]
    """Lower-case file name endings that choose this reader, with the dot: (".jsonl", ".ndjson")."""
    kind: ClassVar[str]
    """What its records carry: "rows" (`fields`), or the name of the modality that their `text` or `media` is."""

    def __init__(self, options: ReadOptions) -> None: ...

    def read(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        """Yield every record of one file in order, with locators relative to that file.

        Args:
            stream: the uncompressed bytes, read forwards; not always seekable.
        """
        ...

    @classmethod
    def example(cls) -> bytes:
        """A small valid file, of some hundred bytes and of several records where the format holds several.

        `curate.testing.check_reader` reads it, damages it and cuts it; nothing else needs it.
        """
        ...
