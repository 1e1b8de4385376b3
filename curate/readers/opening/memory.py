"""Rows that lie in memory: dicts, data frames and Arrow tables, as the records of a file would be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from curate.errors import SettingError
from curate.readers.opening.sources import SourceFile
from curate.readers.parquet import jsonlike, row_values
from curate.records import Record, Reject

ROOT = "memory:"
"""What stands before a source's name where a file has a path."""


class ArrowStream(Protocol):
    """What speaks Arrow's stream interface: an Arrow table, a pandas or polars data frame."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Give the batches of a table."""
        ...


def is_rows(given: Any) -> bool:
    """Whether something is rows in memory, and no path or sequence of paths."""
    if isinstance(given, str | PathLike):
        return False
    if hasattr(given, "__arrow_c_stream__"):
        return True
    return not (isinstance(given, list | tuple | set | frozenset) and not any(isinstance(item, Mapping) for item in given))


def memory_source(name: str) -> SourceFile:
    """The source that rows in memory count as.

    Raises:
        SettingError: the name is blank or holds a slash.
    """
    if not name.strip() or "/" in name:
        raise SettingError(f"rows in memory need a name without a slash, got {name!r}", hint="name='support-2026'")
    return SourceFile(Path(ROOT + name), Path(ROOT), 0, 0)


def rows_in_memory(given: Any, advance: Callable[[int], None]) -> Iterator[Record | Reject]:
    """Yield a record for each row, located as "row 1", "row 2", …

    Args:
        given: an iterable of mappings, or what speaks Arrow's stream interface: a table, a pandas or polars data frame.
        advance: told how many more rows were read.
    """
    for number, row in enumerate(_mappings(given), 1):
        advance(1)
        if isinstance(row, Mapping):
            yield Record(f"row {number}", row)
        else:
            yield Reject(f"row {number}", "not-an-object", f"it is a {type(row).__name__}: {row!r}"[:200])


def _mappings(given: Any) -> Iterable[Any]:
    if not hasattr(given, "__arrow_c_stream__"):
        return (_plain(row) for row in given)
    import pyarrow as pa

    return _arrow_rows(pa.RecordBatchReader.from_stream(given))


def _arrow_rows(reader: Any) -> Iterator[dict[str, Any]]:
    for batch in reader:
        names = [name for name in batch.schema.names if not name.startswith("__index_level_")]  # a data frame's own index
        columns = [row_values(batch[name]) for name in names]
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))


def _plain(row: Any) -> Any:
    """NumPy's scalars and arrays as Python's own, and what else JSON does not know as the readers of files have it."""
    if not isinstance(row, Mapping):
        return row
    return {str(key): jsonlike(value.tolist() if hasattr(value, "tolist") else value) for key, value in row.items()}
