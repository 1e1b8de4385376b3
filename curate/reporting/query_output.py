"""Writes the answer to a query as CSV, JSON, JSON lines or Parquet."""

from __future__ import annotations

import base64
import csv
import datetime
import decimal
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from curate.catalog.query import QueryResult
from curate.errors import InputError, SettingError

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
FORMATS = ("csv", "json", "jsonl", "parquet")


def column_names(names: Sequence[str]) -> list[str]:
    """The names with a number behind each that stood before: a, b, a → a, b, a_2."""
    taken: list[str] = []
    for name in names:
        number, candidate = 2, name
        while candidate in taken:
            candidate, number = f"{name}_{number}", number + 1
        taken.append(candidate)
    return taken


def rows(result: QueryResult) -> Iterator[tuple[Any, ...]]:
    """The rows as Python values."""
    for batch in result.batches():
        columns = [_values(column) for column in batch.columns]
        yield from zip(*columns, strict=True)


def _values(column: pa.Array) -> list[Any]:
    """The values of a column; moments that Python has no type for, by their size or by their nanoseconds, as ISO 8601 text."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return [_moment(text) for text in column.cast(pa.string()).to_pylist()]
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    import pyarrow as pa

    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        if isinstance(scalar, pa.StructScalar):
            return {name: _value(inner) for name, inner in scalar.items()}
        if isinstance(scalar, pa.ListScalar):  # of any length, and maps
            return _values(scalar.values)
        return _moment(scalar.cast(pa.string()).as_py())


def _moment(text: str | None) -> str | None:
    """A moment as Arrow writes it, in ISO 8601."""
    return text and text.replace(" ", "T").replace("Z", "+00:00")


def write(result: QueryResult, format: str, stream: IO[str]) -> int:
    """Write as text, row by row; returns how many rows there were."""
    return {"csv": _write_csv, "json": _write_json, "jsonl": _write_jsonl}[format](result, stream)


def save(result: QueryResult, file: Path, format: str | None) -> int:
    """Write to a file that is there either whole or not at all.

    Args:
        format: one of `FORMATS`; None to tell it from the file's suffix.

    Returns:
        How many rows it has.

    Raises:
        SettingError: the format cannot be told.
        InputError: the file cannot be written.
    """
    chosen = format or SUFFIXES.get(file.suffix.lower())
    if chosen not in FORMATS:
        raise SettingError(f"no format is known by {file.suffix or file.name!r}", hint="--format " + "|".join(FORMATS))
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        if chosen == "parquet":
            count = _write_parquet(result, temporary)
        else:
            with temporary.open("x", encoding="utf-8", newline="") as stream:
                count = write(result, chosen, stream)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(file)
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _write_csv(result: QueryResult, stream: IO[str]) -> int:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(result.schema.names)
    count = 0
    for row in rows(result):
        writer.writerow([_cell(value) for value in row])
        count += 1
    return count


def _write_json(result: QueryResult, stream: IO[str]) -> int:
    stream.write("[")
    count = _write_objects(result, stream, lambda number: ",\n " if number > 1 else "")
    stream.write("]\n")
    return count


def _write_jsonl(result: QueryResult, stream: IO[str]) -> int:
    count = _write_objects(result, stream, lambda number: "\n" if number > 1 else "")
    if count:
        stream.write("\n")
    return count


def _write_objects(result: QueryResult, stream: IO[str], before: Callable[[int], str]) -> int:
    names = column_names(result.schema.names)
    count = 0
    for count, row in enumerate(rows(result), 1):
        stream.write(before(count))
        stream.write(as_json(dict(zip(names, map(plain, row), strict=True))))
    return count


def as_json(value: Any) -> str:
    """What `plain` made, as JSON; decimals keep all their digits, which `json` cannot write."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        if isinstance(value, decimal.Decimal):
            return format(value, "f")
        if isinstance(value, dict):
            return "{" + ", ".join(f"{as_json(key)}: {as_json(inner)}" for key, inner in value.items()) + "}"
        return "[" + ", ".join(map(as_json, value)) + "]"


def _write_parquet(result: QueryResult, file: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = column_names(result.schema.names)
    schema = pa.schema([field.with_name(name) for field, name in zip(result.schema, names, strict=True)])
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in result.batches():
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            count += batch.num_rows
    return count


def plain(value: Any) -> Any:
    """A value as JSON has it: times as ISO 8601, bytes as base64, decimals without a fraction as integers, NaN as null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return int(value) if value.as_tuple().exponent == 0 else value
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [plain(inner) for inner in value]
    return str(value)


def _cell(value: Any) -> Any:
    """A value as a CSV cell: an empty one for NULL, JSON for what has parts."""
    if value is None:
        return ""
    if isinstance(value, float):
        return value
    inner = plain(value)
    return as_json(inner) if isinstance(inner, list | dict | decimal.Decimal) else inner
