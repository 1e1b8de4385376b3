"""JSON Lines: one object a line. Other values and broken lines are rejects, and the reading goes on behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, ClassVar

import orjson

from curate.readers import ReadOptions
from curate.readers.opening.streams import Broken
from curate.readers.parsing.json_rows import SPACE, reject_json
from curate.readers.parsing.lines import line_blocks
from curate.records import Record, Reject


class JsonlReader:
    """Reads JSON Lines, also called NDJSON."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".jsonlines")
    kind: ClassVar[str] = "rows"

    def __init__(self, options: ReadOptions) -> None:
        self._max_bytes = options.max_record_bytes

    @classmethod
    def example(cls) -> bytes:
        """A small valid file."""
        rows = ['{"text": "a \\"quoted\\" line", "n": 1}', '{"text": "käse\\nund brot", "n": 2}', '{"text": "", "n": null}']
        return "\n".join(rows).encode()

    def read(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        """Yield a record a line, located as "line 17"; blank lines are no records."""
        loads = orjson.loads
        try:
            for number, lines in line_blocks(stream, self._max_bytes):
                if lines is None:
                    yield Reject(f"line {number}", "too-large", f"more than {self._max_bytes} bytes")
                    continue
                for number_here, line in enumerate(lines, number):
                    try:
                        value = loads(line)
                    except orjson.JSONDecodeError as error:
                        if line.strip(SPACE):
                            yield reject_json(f"line {number_here}", line, error)
                        continue
                    if type(value) is dict:
                        yield Record(f"line {number_here}", value)
                    else:
                        yield Reject(f"line {number_here}", "not-an-object", line[:200].decode("utf-8", "replace"))
        except Broken as error:
            if error.reason != "invalid-utf16":
                raise
            yield Reject("", error.reason, error.detail)


PLUGIN = JsonlReader
