"""A person's SQL over the catalog: read-only, in a process of its own that is killed when it takes too long.

The process is `_query_worker`, which also says what may run. Its answer is an Arrow stream over a pipe.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog
from curate.catalog._query_process import PIPE_BYTES, SPILL_BYTES, Limits, QueryProcess, TextEmbedders
from curate.errors import SettingError, WorkError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Limits", "QueryResult", "Relation", "TextEmbedders", "check_expression", "relations"]


class Relation(NamedTuple):
    """A table or view, and its columns with their types."""

    name: str
    kind: str
    columns: tuple[tuple[str, str], ...]


def relations(catalog: Catalog) -> list[Relation]:
    """Every view and table of the catalog, views first, each by name."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for kind, name, column, data_type in catalog.rows(
        """SELECT CASE WHEN v.view_name IS NULL THEN 'table' ELSE 'view' END, c.table_name, c.column_name, c.data_type
           FROM duckdb_columns() c LEFT JOIN duckdb_views() v ON v.view_name = c.table_name AND NOT v.internal
           WHERE NOT c.internal AND c.database_name = current_database() AND c.schema_name = 'main'
           ORDER BY 1 DESC, 2, c.column_index"""
    ):
        found.setdefault((kind, name), []).append((column, data_type))
    return [Relation(name, kind, tuple(columns)) for (kind, name), columns in found.items()]


def check_expression(text: str) -> None:
    """Make sure that some SQL is one expression, which cannot end the statement that it is put into.

    Raises:
        SettingError: it is more, less, or no SQL.
    """
    import duckdb

    try:
        duckdb.SQLExpression(text)
    except duckdb.Error as error:
        raise SettingError(
            f"not one SQL expression: {text!r} ({str(error).splitlines()[0]})", hint="--where \"label = 'hat' AND width > 100\""
        ) from error


class QueryResult:
    """The answer to a query, read once, as one table or batch by batch.

    Use it as a context manager: leaving it ends the query's process.

    Raises:
        SettingError: the statement is refused, or is wrong SQL; the message is DuckDB's.
        WorkError: it took too long or too much memory.
        WorkspaceLocked: another process writes to the catalog.
    """

    def __init__(self, path: Path, query: str, *, limits: Limits, embedders: TextEmbedders | None = None) -> None:
        import pyarrow as pa

        self._limits = limits
        self._kept: IO[bytes] | None = None
        self._process = QueryProcess(path, query, limits, embedders or TextEmbedders())
        try:
            # The first batch waits here, so that wrong SQL fails where it is given, and not in some later loop.
            self._reader = self._process.guarded(lambda: pa.ipc.open_stream(io.BufferedReader(self._process, PIPE_BYTES)))
            self._schema = self._reader.schema
            self._first = self._next()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> QueryResult:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns; a name may come twice."""
        return self._schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield what has not been read yet."""
        try:
            while self._first is not None:
                batch, self._first = self._first, None
                yield batch
                self._first = self._next()
        finally:
            self.close()

    def table(self) -> pa.Table:
        """Read everything that is left into one table."""
        import pyarrow as pa

        return pa.Table.from_batches(self.batches(), self.schema)

    def keep(self) -> None:
        """Read the whole answer into an unnamed file and end the process, so that the catalog may be written to again.

        Raises:
            WorkError: all of it took longer than the query may, or is larger than what a query may spill.
        """
        import pyarrow as pa

        deadline = time.monotonic() + self._limits.timeout_s
        kept = tempfile.TemporaryFile(dir=self._limits.spill)  # noqa: SIM115 (closed by `close`)
        try:
            with pa.ipc.new_stream(kept, self._schema) as writer:
                for batch in self.batches():
                    writer.write_batch(batch)
                    self._check_room(kept.tell(), deadline)
            kept.seek(0)
            self._reader, self._kept = pa.ipc.open_stream(kept), kept
            self._first = self._next()
        except BaseException:
            kept.close()
            raise

    def _check_room(self, written: int, deadline: float) -> None:
        """Stop an answer that has no end."""
        if time.monotonic() > deadline:
            raise WorkError(f"the query was stopped after {self._limits.timeout_s:g} s", hint="--timeout SECONDS")
        if written > SPILL_BYTES:
            raise WorkError(
                f"the answer is larger than {SPILL_BYTES / 1e9:g} GB", hint="select less, or open the workspace read-only"
            )

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.stop()
        self._reader = None  # Arrow's hold on the process's pipe would outlive us
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _next(self) -> pa.RecordBatch | None:
        def read() -> pa.RecordBatch | None:
            try:
                return self._reader.read_next_batch()
            except StopIteration:
                return None

        return self._process.guarded(read)
