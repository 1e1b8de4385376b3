"""What the JSON readers share: rows out of parsed values, rejects out of broken ones, and the cutting of a long array."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from curate.readers.parsing.lines import some_bytes
from curate.records import Record, Reject

SPACE = b" \t\r\n"
"""What JSON calls white space; `bytes.strip` alone takes form feeds too."""

_BLOCK = 2**18
_RUN = rb'(?:[^"%s]++|"(?:[^"\\]++|\\.)*+")*+(["%s]?)'
_AT_TOP = re.compile(_RUN % (rb"{}\[\],", rb"{}\[\],"), re.DOTALL)
_INSIDE = re.compile(_RUN % (rb"{}\[\]", rb"{}\[\]"), re.DOTALL)
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


def reject_json(locator: str, data: bytes, error: orjson.JSONDecodeError) -> Reject:
    """Say why a piece of JSON was refused."""
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        return Reject(locator, "invalid-utf8", str(wrong)[:200])
    return Reject(locator, "invalid-json", f"{error}: {data[:120].decode('utf-8', 'replace').strip()}"[:200])


def row(locator: str, value: Any) -> Record | Reject:
    """Make a record of a parsed value."""
    if type(value) is dict:
        return Record(locator, value)
    return Reject(locator, "not-an-object", f"an array of {len(value)}" if type(value) is list else str(value)[:200])


def rows_of_array(head: bytes, stream: BinaryIO, max_bytes: int) -> Iterator[Record | Reject]:
    """Yield the items of one array, holding one item at a time; located as "item 3", from 1.

    Args:
        head: the beginning of the text, with the opening bracket; white space may stand before it.
        stream: what follows `head`.
    """
    number = 0
    rest = b""
    for piece, ended in _pieces(head.lstrip(SPACE)[1:], stream, max_bytes):
        if ended:
            rest = piece
            break
        number += 1
        if piece is None:
            yield Reject(f"item {number}", "too-large", f"more than {max_bytes} bytes")
            continue
        try:
            value = orjson.loads(piece)
        except orjson.JSONDecodeError as error:
            yield reject_json(f"item {number}", piece, error)
        else:
            yield row(f"item {number}", value)
    else:
        yield Reject("end", "invalid-json", "the array does not end")
        return
    if rest.strip(SPACE):
        yield Reject("end", "invalid-json", f"more text behind the array: {rest[:120].decode('utf-8', 'replace').strip()}")


def _pieces(buffer: bytes, stream: BinaryIO, max_bytes: int) -> Iterator[tuple[Any, bool]]:
    """Cut at the commas of the outer level; the last pair is (what follows the closing bracket, True)."""
    read = some_bytes(stream)
    start = pos = depth = 0
    items = 0
    too_large = False
    while True:
        while True:
            match = (_INSIDE if depth else _AT_TOP).match(buffer, pos)
            assert match is not None  # every part of the pattern may be empty
            sign = match[1]
            if not sign or sign == b'"':  # the end of what is here, perhaps inside a string
                pos = match.start(1)
                break
            pos = match.end()
            if sign in b"{[":
                depth += 1
            elif sign == b",":
                yield (None if too_large or pos - 1 - start > max_bytes else buffer[start : pos - 1]), False
                items += 1
                start, too_large = pos, False
            elif depth:
                depth -= 1
            else:
                piece = buffer[start : pos - 1]
                if too_large or items or piece.strip(SPACE) or sign == b"}":
                    too_large = too_large or len(piece) > max_bytes
                    yield (None if too_large else piece + (b"}" if sign == b"}" else b"")), False
                yield _rest(buffer[pos:], read), True
                return
        if pos - start > max_bytes or len(buffer) - start > max_bytes:
            too_large = True
        if too_large:
            if sign:
                buffer = _behind_string(buffer[pos + 1 :], read)
                start = pos = 0
                continue
            start = pos
        block = read(max(_BLOCK, len(buffer) - start))
        if not block:
            return
        buffer, pos, start = buffer[start:] + block, pos - start, 0


def _behind_string(buffer: bytes, read: Any) -> bytes:
    """Pass over the rest of a string that nobody will hold; b"" if it does not end."""
    while True:
        match = _IN_STRING.match(buffer)
        assert match is not None  # it may be empty
        if match.end() < len(buffer) and buffer[match.end()] == 0x22:
            return buffer[match.end() + 1 :]
        block = read(_BLOCK)
        if not block:
            return b""
        buffer = buffer[match.end() :] + block


def _rest(behind: bytes, read: Any) -> bytes:
    while not behind.strip(SPACE):
        behind = read(_BLOCK)
        if not behind:
            break
    return behind
