"""The process in which a person's SQL runs: it can read the catalog, and nothing else.

`curate.catalog.query` runs it as `python -P -m curate.catalog._query_worker`. DuckDB's settings close the file system, the
network and Python's variables; they do not bound what one expression allocates or how long it runs, so the process has
limits of its own, and its parent may kill it at any moment.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import duckdb

from curate.catalog._connection import _connect as connect
from curate.catalog._migrations import require_current
from curate.catalog._query_columns import faithful
from curate.catalog._query_frames import Channel
from curate.errors import WorkspaceError

ALLOWED = ("SELECT", "EXPLAIN")
SLACK_BYTES = 768_000_000
"""What the process may take beyond DuckDB's own limit: Arrow batches, buffers that DuckDB does not count, threads."""
_BATCH_ROWS = 4096
_LONG_COLUMNS = 64


class Refused(Exception):
    """The statement may not run; the message says why, `hint` what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def main() -> None:
    """Answer one request."""
    channel = Channel(sys.stdin.buffer, sys.stdout.buffer)
    try:
        _report(json.loads(channel.receive()[1]), channel)
    except BaseException:  # noqa: BLE001 (whatever it is, the parent reads it from stderr)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # not by way of the interpreter's end, which cannot stop the thread that listens


def _report(request: dict[str, Any], channel: Channel) -> None:
    """Answer a request, or say what is wrong with it."""
    try:
        _answer(request, channel)
    except Refused as error:
        channel.send(b"X", _error("refused", str(error), error.hint))
    except WorkspaceError as error:
        channel.send(b"X", _error(type(error).__name__, str(error), error.hint))
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        channel.send(b"X", _error("memory", str(error)))
    except duckdb.InternalException as error:
        channel.send(b"X", _error("internal", str(error)))
    except OSError as error:  # what Arrow makes of an error in the midst of the rows
        kind = "memory" if str(error).startswith("Out of Memory") else "sql"
        channel.send(b"X", _error(kind, str(error)))
    except duckdb.Error as error:
        channel.send(b"X", _error("sql", str(error)))
    else:
        channel.send(b"D", b"")


def _answer(request: dict[str, Any], channel: Channel) -> None:
    connection = connect(
        Path(request["path"]),
        True,
        request["wait_s"],
        {
            "memory_limit": f"{request['memory_bytes'] // 1_000_000}MB",
            "threads": str(request["threads"]),
            "temp_directory": request["spill"],
            "max_temp_directory_size": f"{request['spill_bytes'] // 1_000_000}MB",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    try:
        require_current(connection)
        statement = only_statement(connection, request["query"])
        if "embed" in request["query"].lower():
            _offer_embedding(connection, request["embedders"], request["default"], channel)
        else:
            sys.modules["numpy"] = None  # type: ignore[assignment]  # Arrow would import it, for 100 ms, and never use it
        connection.execute(
            """SET enable_progress_bar = false; SET python_enable_replacements = false; SET TimeZone = 'UTC';
               SET enable_external_access = false; SET lock_configuration = true"""
        )
        import pyarrow as pa

        _limit_resources(request["memory_bytes"] + SLACK_BYTES)
        relation = connection.sql(statement)
        if relation is None:
            raise Refused("the statement has no result")
        relation = faithful(relation)
        # vectors are long rows: fewer of them make a batch
        rows = _BATCH_ROWS if len(relation.columns) < _LONG_COLUMNS else _BATCH_ROWS // 8
        reader = relation.to_arrow_reader(rows)
        pipe = BytesIO()
        with pa.ipc.new_stream(pipe, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
                channel.send(b"B", _taken(pipe))
        channel.send(b"B", _taken(pipe))
    finally:
        with suppress(duckdb.Error):
            connection.close()  # functions that outlive their connection print noise at exit


def only_statement(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.Statement:
    """Parse a query that may run.

    Raises:
        Refused: it is none, several, or one that does more than read.
    """
    statements = connection.extract_statements(query)
    if not statements:
        raise Refused("there is no statement", 'curate sql "SELECT * FROM samples LIMIT 5"')
    if len(statements) > 1:
        raise Refused(f"one statement at a time, got {len(statements)}", "run them one by one")
    kind = statements[0].type.name
    if kind == "MULTI":
        raise Refused("PIVOT needs to be told its columns", "PIVOT … ON column IN ('a', 'b') USING …, or GROUP BY")
    if kind not in ALLOWED:
        raise Refused(
            f"{kind} is not allowed: the catalog is only read here",
            "SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE or EXPLAIN",
        )
    return statements[0]


def _offer_embedding(
    connection: duckdb.DuckDBPyConnection, embedders: dict[str, int], default: str | None, channel: Channel
) -> None:
    """Define `embed_<slug>(text)` for every text embedder that has vectors here, and `embed(text)` for the default one."""
    for slug, dimension in embedders.items():
        connection.create_function(
            f"embed_{slug}", _asks_parent(slug, channel), [duckdb.sqltype("VARCHAR")], duckdb.sqltype(f"FLOAT[{dimension}]")
        )
    one = f"embed_{default}(content)" if default else "error('no text embedder has vectors here: curate embed DATASET')"
    named = "error('name the embedder in the function: embed_' || slug || '(text)')"
    connection.execute(f"CREATE TEMP MACRO embed(content) AS {one}, (content, slug) AS {named}")


def _asks_parent(slug: str, channel: Channel) -> Callable[[str], list[float]]:
    known: dict[str, list[float]] = {}

    def embed(text: str) -> list[float]:
        if text not in known:
            kind, payload = channel.ask(b"E", json.dumps({"slug": slug, "text": text}).encode())
            if kind != b"V":
                raise ValueError(payload.decode())
            known[text] = list(struct.unpack(f"<{len(payload) // 4}f", payload))
        return known[text]

    return embed


def _limit_resources(memory_bytes: int) -> None:
    """Bound what the process may allocate from now on, whoever asks for it.

    RLIMIT_DATA counts private writable memory; RLIMIT_AS would also count the address space that libraries and
    thread stacks only reserve, and so refuse work that needs little.
    """
    try:
        import resource
    except ImportError:  # not on Windows, where the parent's clock is the only limit
        return
    held = 0
    with suppress(OSError), open("/proc/self/status") as status:  # noqa: PTH123 (Path.open is no better here)
        held = next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmData")), 0)
    for limit, value in ((resource.RLIMIT_DATA, held + memory_bytes), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # a lower hard limit is in force already
            resource.setrlimit(limit, (value, value))


def _taken(pipe: BytesIO) -> bytes:
    data = pipe.getvalue()
    pipe.seek(0)
    pipe.truncate()
    return data


def _error(kind: str, message: str, hint: str | None = None) -> bytes:
    return json.dumps({"kind": kind, "message": message, "hint": hint}).encode()


if __name__ == "__main__":
    main()
