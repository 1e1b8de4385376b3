"""A person's SQL over the catalog: read-only, in a process of its own that is killed when it takes too long.

The process is `_query_worker`, which also says what may run. Its answer is an Arrow stream over a pipe.
"""

from __future__ import annotations

import io
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from curate.catalog._connection import Catalog
from curate.catalog._query_worker import HEADER
from curate.errors import CurateError, SettingError, WorkError, WorkspaceLocked

if TYPE_CHECKING:
    import pyarrow as pa

EmbedText = Callable[[str, str], NDArray[np.float32]]
"""Given a slug and a text, its vector."""

_PIPE_BYTES = 1 << 20
_SPILL_BYTES = 20_000_000_000
_SHOWN_LINES = 12


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may take.

    Attributes:
        timeout_s: seconds that it may keep its reader waiting, in all.
        memory_bytes: DuckDB's own limit; the process may take some more for what DuckDB does not count.
        spill: folder for what does not fit.
        threads: at least 1.
    """

    timeout_s: float
    memory_bytes: int
    spill: Path
    threads: int = 1


@dataclass(frozen=True, slots=True)
class TextEmbedders:
    """What `embed('…')` means in a query.

    Attributes:
        dimensions: of every slug that a text can be embedded with.
        default: the slug that `embed` stands for; None where there is none.
        embed: called in this process, once for each different text.
        close: called when the query ends.
    """

    dimensions: Mapping[str, int] = field(default_factory=dict)
    default: str | None = None
    embed: EmbedText | None = None
    close: Callable[[], None] = lambda: None


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

        self._process = _Process(path, query, limits, embedders or TextEmbedders())
        try:
            # The first batch waits here, so that wrong SQL fails where it is given, and not in some later loop.
            self._reader = self._process.guarded(lambda: pa.ipc.open_stream(io.BufferedReader(self._process, _PIPE_BYTES)))
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

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.stop()
        self._reader = None  # Arrow's hold on the process's pipe would outlive us

    def _next(self) -> pa.RecordBatch | None:
        def read() -> pa.RecordBatch | None:
            try:
                return self._reader.read_next_batch()
            except StopIteration:
                return None

        return self._process.guarded(read)


class _Process(io.RawIOBase):
    """The worker, seen as a file that holds the Arrow stream."""

    def __init__(self, path: Path, query: str, limits: Limits, embedders: TextEmbedders) -> None:
        self._limits = limits
        self._embedders = embedders
        self._left_s = limits.timeout_s
        self._pending = memoryview(b"")
        self._ended = False
        self._failure: BaseException | None = None
        self._path = path
        limits.spill.mkdir(parents=True, exist_ok=True)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `stop`)
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "curate.catalog._query_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is ours to hear: we kill the child, which might not listen
        )
        request = {
            "path": str(path),
            "query": query,
            "memory_bytes": limits.memory_bytes,
            "threads": limits.threads,
            "spill": str(limits.spill),
            "spill_bytes": _SPILL_BYTES,
            "embedders": dict(embedders.dimensions),
            "default": embedders.default,
        }
        self._send(b"Q", json.dumps(request).encode())

    def guarded(self, read: Callable[[], Any]) -> Any:
        """Read from the stream, raising what went wrong in the worker rather than what Arrow makes of it."""
        try:
            return read()
        except BaseException:
            if self._failure is not None:
                raise self._failure from None
            raise

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._pending and not self._ended:
            try:
                self._take_frame()
            except BaseException as error:
                self._failure = error
                raise
        size = min(len(buffer), len(self._pending))
        buffer[:size] = self._pending[:size]
        self._pending = self._pending[size:]
        return size

    def stop(self) -> None:
        """Kill the process where it still runs, and let go of the pipes."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._complaints):
            if stream is not None:
                stream.close()
        self._embedders.close()
        self._embedders = TextEmbedders()

    def _take_frame(self) -> None:
        kind, length = HEADER.unpack(self._receive(HEADER.size))
        payload = self._receive(length)
        if kind == b"B":
            self._pending = memoryview(payload)
        elif kind == b"E":
            self._answer_embedding(json.loads(payload))
        elif kind == b"X":
            raise self._as_error(json.loads(payload))
        else:
            self._ended = True

    def _receive(self, length: int) -> bytes:
        """Read exactly so many bytes; only the time spent waiting for the worker counts against its limit."""
        data = bytearray()
        output = cast(io.RawIOBase, self._child.stdout)
        while len(data) < length:
            started = time.monotonic()
            ready = select.select([output], [], [], max(self._left_s, 0))[0]
            self._left_s -= time.monotonic() - started
            if not ready:
                raise WorkError(f"the query was stopped after {self._limits.timeout_s:g} s", hint="--timeout SECONDS")
            piece = os.read(output.fileno(), min(length - len(data), _PIPE_BYTES))
            if not piece:
                raise self._as_death()
            data += piece
        return bytes(data)

    def _send(self, kind: bytes, payload: bytes) -> None:
        stream = cast(io.RawIOBase, self._child.stdin)
        data = memoryview(HEADER.pack(kind, len(payload)) + payload)
        try:
            while data:
                data = data[stream.write(data) or 0 :]
        except BrokenPipeError:
            raise self._as_death() from None

    def _answer_embedding(self, request: dict[str, str]) -> None:
        assert self._embedders.embed is not None
        try:
            vector = self._embedders.embed(request["slug"], request["text"])
        except CurateError as error:
            self._failure = error
            self._send(b"N", str(error).encode())
        else:
            self._send(b"V", np.asarray(vector, "<f4").tobytes())

    def _as_error(self, error: dict[str, Any]) -> CurateError:
        if isinstance(self._failure, CurateError):  # raised here, while the worker waited for a vector
            return self._failure
        message = "\n".join(error["message"].strip().splitlines()[:_SHOWN_LINES])
        if error["kind"] == "memory":
            return self._as_too_large()
        if error["kind"] == "locked":
            found = re.search(r"PID (\d+)", message)
            who = (
                "this process"
                if found and int(found[1]) == os.getpid()
                else f"process {found[1]}"
                if found
                else "another process"
            )
            hint = "open the workspace read-only" if who == "this process" else "wait for it, or give --wait SECONDS"
            return WorkspaceLocked(f"{who} is writing to {self._path.parent}", hint=hint)
        if error["kind"] == "internal":
            return WorkError(f"DuckDB failed on this query: {message}")
        return SettingError(message, hint=error.get("hint") or "curate sql --schema lists the tables and columns")

    def _as_death(self) -> CurateError:
        status = self._child.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip().splitlines()
        memory_signs = ("bad_alloc", "MemoryError", "Cannot allocate", "memory")
        if status in (-6, -9, -11) or any(sign in line for line in said for sign in memory_signs):
            return self._as_too_large()
        return WorkError(f"the query's process died (status {status})" + (f": {said[-1]}" if said else ""))

    def _as_too_large(self) -> CurateError:
        return WorkError(
            f"the query needs more memory than it may take ({self._limits.memory_bytes / 1e6:,.0f} MB)",
            hint="select less at a time, or raise [limits] memory in curate.toml",
        )
