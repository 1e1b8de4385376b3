"""Plain text: a file is one document, or one a paragraph or line, as `split_on` says. Source code counts as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, ClassVar

from curate.errors import BadRecord
from curate.readers import ReadOptions
from curate.readers.opening.streams import Broken
from curate.readers.parsing.lines import decode, line_blocks, read_all
from curate.records import Record, Reject

_CODE = ".c .cc .cpp .cs .go .h .hpp .java .jl .js .jsx .kt .lua .php .pl .py .r .rb .rs .scala .sh .sql .swift .ts .tsx"
_INK = re.compile(r"\S")


class TextReader:
    """Reads text files; the text is kept as it stands, less a byte order mark."""

    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".text", ".log", ".tex", *_CODE.split())
    kind: ClassVar[str] = "text"

    def __init__(self, options: ReadOptions) -> None:
        self._max_bytes = options.max_record_bytes
        self._split_on = options.split_on

    @classmethod
    def example(cls) -> bytes:
        """A small valid file."""
        return "First paragraph,\nstill first.\n\nSecond ünd last.\n".encode()

    def read(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        """Yield the documents; a part of a file is located by its first line, "line 17". White space alone is `empty-text`."""
        if self._split_on == "file":
            yield self._whole(stream)
            return
        empty = True
        try:
            for item in self._lines(stream) if self._split_on == "lines" else self._paragraphs(stream):
                empty = False
                yield item
        except Broken as error:
            if error.reason != "invalid-utf16":
                raise
            empty = False
            yield Reject("end", error.reason, error.detail)
        if empty:
            yield Reject("", "empty-text")

    def _whole(self, stream: BinaryIO) -> Record | Reject:
        try:
            text = decode(read_all(stream, self._max_bytes))
        except BadRecord as error:
            return Reject("", error.reason, error.detail)
        return Record("", text=text) if _INK.search(text) else Reject("", "empty-text")

    def _lines(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        for first, lines in line_blocks(stream, self._max_bytes):
            if lines is None:
                yield Reject(f"line {first}", "too-large", f"more than {self._max_bytes} bytes")
                continue
            for number, line in enumerate(lines, first):
                if line.strip():
                    yield _document(number, line.removesuffix(b"\r"))

    def _paragraphs(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        held: list[bytes] = []
        size = start = 0
        for first, lines in line_blocks(stream, self._max_bytes):
            for number, line in enumerate(lines if lines is not None else [bytes([120]) * (self._max_bytes + 1)], first):
                if line.strip():
                    start = start or number
                    size += len(line) + 1
                    if size <= self._max_bytes + 1:
                        held.append(line)
                elif start:
                    yield self._paragraph(start, held, size)
                    held, size, start = [], 0, 0
        if start:
            yield self._paragraph(start, held, size)

    def _paragraph(self, start: int, lines: list[bytes], size: int) -> Record | Reject:
        if size > self._max_bytes + 1:
            return Reject(f"line {start}", "too-large", f"more than {self._max_bytes} bytes")
        return _document(start, b"\n".join(lines).removesuffix(b"\r"))


def _document(number: int, data: bytes) -> Record | Reject:
    try:
        return Record(f"line {number}", text=data.decode())
    except UnicodeDecodeError as error:
        return Reject(f"line {number}", "invalid-utf8", str(error)[:200])


PLUGIN = TextReader
