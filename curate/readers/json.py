"""JSON files: an array of objects, one object, an object around one list, or JSON Lines under the wrong name."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar

import orjson

from curate.errors import BadRecord
from curate.readers import ReadOptions
from curate.readers.jsonl import JsonlReader
from curate.readers.opening.streams import Stream
from curate.readers.parsing.json_rows import SPACE, reject_json, row, rows_of_array
from curate.readers.parsing.lines import decode, read_all
from curate.records import Record, Reject

_WHOLE = 8 * 2**20
"""A file of up to this many bytes is parsed in one go; a longer array is cut into its items first."""

_ENVELOPES = {"annotations", "data", "documents", "entries", "examples", "instances", "items", "questions"}
_ENVELOPES |= {"records", "results", "rows", "samples", "test", "train", "validation"}


class JsonReader:
    """Reads `.json` files."""

    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    kind: ClassVar[str] = "rows"

    def __init__(self, options: ReadOptions) -> None:
        self._max_bytes = options.max_record_bytes
        self._lines = JsonlReader(options)

    @classmethod
    def example(cls) -> bytes:
        """A small valid file."""
        return '[{"text": "a \\"quoted\\" line", "n": 1}, {"text": "käse\\nund brot"}, {"text": "", "n": null}]'.encode()

    def read(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        """Yield the items of an array ("item 3"), or the lines of JSON Lines ("line 3"), or the one object ("")."""
        whole = min(_WHOLE, self._max_bytes)
        head = stream.read(whole)
        if head[:2] in (b"\xff\xfe", b"\xfe\xff") or head[:3] == b"\xef\xbb\xbf":
            try:
                head = decode(head + read_all(stream, self._max_bytes)).encode()
            except (BadRecord, UnicodeEncodeError) as error:
                yield Reject("", getattr(error, "reason", "invalid-utf16"), getattr(error, "detail", str(error))[:200])
                return
        elif len(head) == whole:
            yield from self._read_long(head, stream)
            return
        yield from self._read_whole(head)

    def _read_whole(self, data: bytes) -> Iterator[Record | Reject]:
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            if data.lstrip(SPACE)[:1] == b"[":
                yield from rows_of_array(data, io.BytesIO(), self._max_bytes)
            elif _is_lines(data):
                yield from self._lines.read(io.BytesIO(data))
            else:
                yield reject_json("", data, error)
            return
        yield from _rows(value)

    def _read_long(self, head: bytes, stream: BinaryIO) -> Iterator[Record | Reject]:
        if head.lstrip(SPACE)[:1] == b"[":
            yield from rows_of_array(head, stream, self._max_bytes)
        elif _is_lines(head):
            yield from self._lines.read(_joined(head, stream))
        else:
            try:
                more = read_all(stream, max(0, self._max_bytes - len(head)))
            except BadRecord as error:
                yield Reject("", error.reason, "one value; write it as an array or as JSON Lines to have it read in pieces")
                return
            yield from self._read_whole(head + more)


def _joined(head: bytes, stream: BinaryIO) -> Any:
    """One stream of what was read already and what follows."""

    def chunks() -> Iterator[bytes]:
        yield head
        read1 = getattr(stream, "read1", stream.read)
        while block := read1(2**18):
            yield block

    return Stream(chunks())


def _is_lines(data: bytes) -> bool:
    """Whether the first line is an object of its own and another line follows."""
    first, newline, _ = data.lstrip(SPACE).partition(b"\n")
    if not newline or first[:1] != b"{":
        return False
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        return False
    return True


def _rows(value: Any) -> Iterator[Record | Reject]:
    if type(value) is list:
        for number, item in enumerate(value, 1):
            yield row(f"item {number}", item)
        return
    if type(value) is dict:
        lists = [key for key, held in value.items() if type(held) is list and held and all(type(item) is dict for item in held)]
        if len(lists) == 1 and (len(value) == 1 or lists[0].lower() in _ENVELOPES):
            for number, item in enumerate(value[lists[0]], 1):
                yield row(f"{lists[0]} item {number}", item)
            return
    yield row("", value)


PLUGIN = JsonReader
