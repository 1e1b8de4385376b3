"""Text as readers meet it: UTF-8 with or without a byte order mark, or UTF-16 that says so, in blocks of whole lines."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import BinaryIO

from curate.errors import BadRecord
from curate.readers.opening.streams import Broken, Stream

_BLOCK = 2**18
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

Lines = tuple[int, list[bytes] | None]
"""The number of the first line, from 1, and the lines without their line ends; None for one line that is too long."""


def read_all(stream: BinaryIO, max_bytes: int) -> bytes:
    """Read a whole stream.

    Raises:
        BadRecord: `too-large`, it is longer than `max_bytes`; what lies behind is not read.
    """
    data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise BadRecord("too-large", f"more than {max_bytes} bytes")
    return data


def decode(data: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark; the mark is dropped.

    Raises:
        BadRecord: `invalid-utf8` or `invalid-utf16`.
    """
    encoding = _UTF16.get(data[:2])
    try:
        if encoding:
            return data[2:].decode(encoding)
        return data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise BadRecord("invalid-utf16" if encoding else "invalid-utf8", str(error)[:200]) from None


def some_bytes(stream: BinaryIO) -> Callable[[int], bytes]:
    """Give the call that reads what is at hand, so that what stands before damage is not lost with it."""
    read1: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    return read1


def line_blocks(stream: BinaryIO, max_bytes: int) -> Iterator[Lines]:
    """Cut a stream into lines, in bounded memory.

    A line ends at "\\n"; a "\\r" before it stays on. A byte order mark is dropped; UTF-16 that begins with one comes as UTF-8.

    Raises:
        Broken: `invalid-utf16`, or whatever ends the stream early; the unfinished last line is then not given.
    """
    read = some_bytes(stream)
    head = read(_BLOCK)
    while head and len(head) < 3 and (more := read(_BLOCK)):
        head += more
    if encoding := _UTF16.get(head[:2]):
        read = Stream(_as_utf8(head[2:], read, encoding)).read1
        head = read(_BLOCK)
    head = head.removeprefix(codecs.BOM_UTF8)
    number = 1
    pieces: list[bytes] = []
    held = 0
    while head:
        lines = head.split(b"\n")
        tail = lines.pop()
        if not lines:
            held += len(tail)
            if held <= max_bytes:
                pieces.append(tail)
            else:
                pieces.clear()
        else:
            too_long = held + len(lines[0]) > max_bytes
            if too_long:
                yield number, None
                del lines[0]
                number += 1
            elif held:
                lines[0] = b"".join([*pieces, lines[0]])
            if lines:
                yield from _within(number, lines, max_bytes)
                number += len(lines)
            pieces, held = [tail], len(tail)
            if held > max_bytes:
                pieces = []
        head = read(_BLOCK)
    if held > max_bytes:
        yield number, None
    elif held:
        yield number, [b"".join(pieces)]


def _within(number: int, lines: list[bytes], max_bytes: int) -> Iterator[Lines]:
    if max_bytes >= _BLOCK or all(len(line) <= max_bytes for line in lines):
        yield number, lines  # one block holds no line longer than itself, and the first was measured
        return
    for offset, line in enumerate(lines):
        yield number + offset, [line] if len(line) <= max_bytes else None


def _as_utf8(head: bytes, read: Callable[[int], bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while head:
            yield decoder.decode(head).encode()
            head = read(_BLOCK)
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise Broken("invalid-utf16", str(error)[:200]) from None
