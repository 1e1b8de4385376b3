"""Parquet files, a few hundred rows at a time, with values as JSON knows them and bytes as they are."""

from __future__ import annotations

import base64
import io
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, cast

from curate.readers import ReadOptions
from curate.readers.csv import unique_names
from curate.readers.opening.streams import BLOCK
from curate.records import Record, Reject

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 256
_SPOOL_BYTES = 32 * 2**20
_PLAIN = (str, int, float, bool, bytes, type(None))


class ParquetReader:
    """Reads `.parquet`; a stream that cannot seek (an archive member) is first copied to a temporary file."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")
    kind: ClassVar[str] = "rows"

    def __init__(self, options: ReadOptions) -> None:
        self._max_bytes = options.max_record_bytes

    @classmethod
    def example(cls) -> bytes:
        """A small valid file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = io.BytesIO()
        pq.write_table(pa.table({"text": ["one", "two", "three"], "n": [1, None, 3], "media": [b"a", b"\0", None]}), file)
        return file.getvalue()

    def read(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        """Yield a record a row, located as "row 3", from 1."""
        if stream.seekable():
            yield from self._rows(stream)
            return
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
            shutil.copyfileobj(stream, spool, BLOCK)
            spool.seek(0)
            yield from self._rows(cast(BinaryIO, spool))

    def _rows(self, source: BinaryIO) -> Iterator[Record | Reject]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        number = 0
        try:
            with pq.ParquetFile(source, pre_buffer=False) as file:
                names = unique_names(file.schema_arrow.names)
                for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                    yield from self._batch(batch, names, number)
                    number += batch.num_rows
        except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, KeyError, TypeError) as error:
            yield Reject("end", "invalid-parquet", f"behind row {number}: {error}"[:200])

    def _batch(self, batch: pa.RecordBatch, names: list[str], before: int) -> Iterator[Record | Reject]:
        try:
            columns = [row_values(column) for column in batch.columns]
        except (ValueError, OverflowError, TypeError, KeyError):  # UnicodeDecodeError is a ValueError
            if batch.num_rows == 1:
                yield Reject(f"row {before + 1}", "unreadable-value", _why(batch, names))
                return
            for offset in range(batch.num_rows):
                yield from self._batch(batch.slice(offset, 1), names, before + offset)
            return
        for offset in range(batch.num_rows):
            yield self._row(f"row {before + offset + 1}", {n: values[offset] for n, values in zip(names, columns, strict=True)})

    def _row(self, locator: str, fields: dict[str, Any]) -> Record | Reject:
        size = sum(len(value) for value in fields.values() if isinstance(value, str | bytes))
        if size > self._max_bytes:
            return Reject(locator, "too-large", f"more than {self._max_bytes} bytes")
        return Record(locator, fields)


def _why(batch: pa.RecordBatch, names: list[str]) -> str:
    for name, column in zip(names, batch.columns, strict=True):
        try:
            row_values(column)
        except (ValueError, OverflowError, TypeError, KeyError) as error:
            return f"{name}: {error}"[:200]
    return ""


def row_values(column: pa.Array) -> list[Any]:
    """The values of a column as a record has them: what JSON knows, and bytes."""
    import pyarrow as pa
    import pyarrow.types as kinds

    kind = column.type
    if isinstance(kind, pa.ExtensionType):
        column = column.storage
        kind = column.type
    if kinds.is_timestamp(kind) and kind.unit == "ns":  # Python's datetime ends at microseconds
        column = column.cast(pa.string())
        return [value and value.replace(" ", "T", 1) for value in column.to_pylist()]
    values: list[Any] = column.to_pylist()
    if kinds.is_primitive(kind) and not kinds.is_temporal(kind) and not kinds.is_decimal(kind):
        return values
    if kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_binary(kind) or kinds.is_large_binary(kind):
        return values
    return [jsonlike(value) for value in values]


def jsonlike(value: Any) -> Any:
    """Turn what Arrow gives into what JSON knows; a decimal becomes its digits as text, a duration seconds, bytes stay."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return {_key(key): jsonlike(held) for key, held in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):  # a map
            return {_key(key): jsonlike(held) for key, held in value}
        return [jsonlike(held) for held in value]
    if isinstance(value, tuple):
        return [jsonlike(held) for held in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Decimal) else repr(value)


def _key(key: Any) -> str:
    if isinstance(key, bytes):
        return base64.b64encode(key).decode()
    return key if isinstance(key, str) else str(jsonlike(key))


PLUGIN = ParquetReader
