"""Opening the catalog file: locking, migrating, transactions."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.catalog import faults
from curate.catalog._digests import Shape, Totals, totals
from curate.catalog._failures import damaged, told
from curate.catalog._migrations import migrate, require_current
from curate.catalog._sealing import Sealing, Write, written
from curate.errors import WorkError, WorkspaceLocked

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
else:
    from curate.catalog._engine import duckdb

_LOCK_POLL_S = 0.1
_CLOCK_SLACK_S = 2.0
LEAST_MEMORY = 128_000_000
"""Bytes below which DuckDB cannot work."""


class Catalog:
    """An open connection to a workspace's catalog.

    One process may write, or many may read. Use it as a context manager; a writer migrates the schema on opening
    and marks runs that a kill left 'running' as 'interrupted'; a run whose process lives has only let go of the catalog.

    Args:
        path: `catalog.duckdb`, which a writer creates where there is none.
        read_only: open beside other readers.
        wait_s: how many seconds to wait for another process to let go.
        memory: DuckDB's own limit, such as "1GB"; sorts and joins beyond it spill to `spill`.
        threads: DuckDB's threads; 0 for one a core.
        spill: folder for temporary files.

    Raises:
        WorkspaceLocked: another process holds the file for longer than `wait_s`.
        WorkspaceDamaged: the file is no catalog, was altered, or was written by a newer curate.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        wait_s: float = 0.0,
        memory: str = "1GB",
        threads: int = 0,
        spill: Path | None = None,
    ) -> None:
        self.path = path
        self.read_only = read_only
        self._process_id = os.getpid()
        self._depth = 0
        self.migrated: list[str] = []
        """The migrations that opening it applied."""
        self._abandoned = 0  # how often `abandon` was called; a transaction of before is none of today's
        config: dict[str, Any] = {
            "memory_limit": memory,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        if threads:
            config["threads"] = str(threads)
        if spill is not None:
            config["temp_directory"] = str(spill)
        self._open: duckdb.DuckDBPyConnection | None = _connect(path, read_only, wait_s, config)
        self._sealing = Sealing(self._open)
        try:
            # No statement of ours reads a file, so a person's condition (`drop --where`) shall not either. A checkpoint
            # every 16 MB, the default, took a fifth of an ingest.
            self._open.execute(
                "SET enable_progress_bar = false; SET python_enable_replacements = false; SET TimeZone = 'UTC';"
                "SET checkpoint_threshold = '256MB'; SET enable_external_access = false"
            )
            if read_only:
                require_current(self._open)
            else:
                self.migrated = migrate(self._open)
                self._mark_dead_runs()
            faults.passing("open")
        except duckdb.Error as error:
            self.close()
            raise damaged(path, error) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file, so that another process may write.

        The connection object goes too: one that outlives the interpreter in some traceback makes DuckDB's binding print a
        hundred lines of complaint.
        """
        if self._open is not None:
            self._open.close()
            self._open = None
            self._sealing.close()
            self._abandoned += 1

    @property
    def is_open(self) -> bool:
        """Whether statements may run."""
        return self._open is not None

    @property
    def in_transaction(self) -> bool:
        """Whether a block of `transaction` is open."""
        return self._depth > 0

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The raw connection, for the modules of this package.

        Raises:
            WorkError: this is a forked child, whose inserts would vanish; or the catalog was closed.
        """
        if self._open is None:
            raise WorkError(f"the catalog {self.path} is closed")
        if os.getpid() != self._process_id:
            raise WorkError("the catalog was opened by a parent process and cannot be used after a fork")
        return self._open

    def execute(
        self, statement: str, parameters: Sequence[object] | dict[str, object] = (), *, within: str | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Run one statement of this package; what it writes is sealed in the same transaction.

        Args:
            within: for an UPDATE or DELETE of a table that may be large: a condition over that table which selects all rows
                that the statement may touch, before it and after it alike. Without one the whole table is digested twice.

        Raises:
            WorkspaceDamaged: the file cannot be read.
            WorkError: the disk is full.
        """
        write = written(statement)
        if write is not None:
            self._write(write, statement, parameters, within)
            return self.connection
        with self._spoken():
            return self.connection.execute(statement, parameters or None)

    def rows(
        self, statement: str, parameters: Sequence[object] | dict[str, object] = (), *, within: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run a small query, or a statement that returns what it wrote, and fetch all of it; `within` as in `execute`."""
        write = written(statement)
        if write is not None:
            return self._write(write, statement, parameters, within)
        with self._spoken():
            found: list[tuple[Any, ...]] = self.execute(statement, parameters).fetchall()
            return found

    def _write(
        self, write: Write, statement: str, parameters: Sequence[object] | dict[str, object], within: str | None
    ) -> list[tuple[Any, ...]]:
        with self.transaction(), self._spoken(), self._sealing.around(write, within):
            found: list[tuple[Any, ...]] = self.connection.execute(statement, parameters or None).fetchall()
            return found

    def row(self, statement: str, parameters: Sequence[object] | dict[str, object] = ()) -> tuple[Any, ...] | None:
        """Run a query for its first row; the rest is fetched too, because DuckDB wants no answer left half read."""
        found = self.rows(statement, parameters)
        return found[0] if found else None

    def scalar(self, statement: str, parameters: Sequence[object] | dict[str, object] = ()) -> Any:
        """Run a query for one value; None where there is no row."""
        row = self.row(statement, parameters)
        return row[0] if row else None

    def table(self, statement: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Run a query and fetch it as one Arrow table."""
        with self._spoken():
            return self.connection.sql(statement, params=list(parameters) or None).to_arrow_table()

    def reader(self, statement: str, parameters: Sequence[object] = (), *, batch_rows: int = 8192) -> pa.RecordBatchReader:
        """Run a query whose answer is read as a stream; no other statement may run until it is read."""
        return self.connection.sql(statement, params=list(parameters) or None).to_arrow_reader(batch_rows)

    def stream(self, statement: str, parameters: Sequence[object] = (), *, batch_rows: int = 8192) -> Iterator[pa.RecordBatch]:
        """Run a query on a cursor of its own and yield its batches, so that other statements may run meanwhile."""
        cursor = self.connection.cursor()
        try:
            with self._spoken():
                yield from cursor.sql(statement, params=list(parameters) or None).to_arrow_reader(batch_rows)
        finally:
            cursor.close()

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        """Turn what the file or the disk refuses into an error of ours; what a statement gets wrong stays DuckDB's."""
        try:
            yield
        except (RuntimeError, duckdb.Error) as error:
            ours = told(self.path, error)
            if ours is error:
                raise
            raise ours from error

    @contextmanager
    def given(self, **tables: pa.Table) -> Iterator[None]:
        """Let statements name Arrow tables by these names while the block runs."""
        for name, table in tables.items():
            self.connection.register(name, table)
        try:
            yield
        finally:
            for name in tables:
                self.connection.unregister(name)

    @contextmanager
    def holding(self, memory_bytes: int) -> Iterator[None]:
        """Let DuckDB hold no more than this while the block runs; it goes back to its own limit after."""
        before = self.scalar("SELECT current_setting('memory_limit')")
        self.execute(f"SET memory_limit = '{max(memory_bytes, LEAST_MEMORY) // 1_000_000}MB'")
        try:
            yield
        finally:
            self.execute(f"SET memory_limit = '{before}'")

    def shrink(self) -> None:
        """Have DuckDB give back what it holds of the file; it reads it again when it needs it."""
        before = self.scalar("SELECT current_setting('memory_limit')")
        try:
            with suppress(duckdb.OutOfMemoryException):  # some of it is in use; the rest was given back
                self.connection.execute("SET memory_limit = '1MB'")
        finally:
            self.execute(f"SET memory_limit = '{before}'")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all or nothing; a block within a block joins the outer one."""
        abandoned = self._abandoned
        if self._depth == 0:
            self.execute("BEGIN TRANSACTION")
        self._depth += 1
        try:
            yield
        except BaseException:
            if self._abandoned == abandoned:
                self._depth -= 1
                if self._depth == 0:
                    self._roll_back()
            raise
        self._depth -= 1
        if self._depth == 0:
            try:
                with self._spoken():
                    self._sealing.flush()
                    faults.passing("commit")
                    self.connection.execute("COMMIT")
                    faults.passing("done")
            except BaseException:
                self._roll_back()  # it may have been committed all the same
                raise

    def totals(self, shape: Shape) -> Totals:
        """Digest every row of a table, by run."""
        with self._spoken():
            return totals(self.connection, shape)

    @property
    def sealed_for(self) -> int | None:
        """The run on whose behalf rows are written and sealed."""
        return self._sealing.run_id

    @sealed_for.setter
    def sealed_for(self, run_id: int | None) -> None:
        self._sealing.run_id = run_id

    def _mark_dead_runs(self) -> None:
        running = "SELECT run_id, process_id, epoch(started_at) FROM runs WHERE status = 'running'"
        for run_id, process_id, started in self.rows(running):
            if not _is_alive(process_id, started):
                self.execute(
                    "UPDATE runs SET status = 'interrupted', ended_at = now() AT TIME ZONE 'UTC' WHERE run_id = ?",
                    [run_id],
                    within=f"run_id = {run_id}",
                )

    def abandon(self) -> None:
        """Undo what an interrupt left open: it may come between a statement and the block that was to guard it."""
        self._abandoned += 1
        self._depth = 0
        self._roll_back()

    def _roll_back(self) -> None:
        self._sealing.forget()
        with suppress(duckdb.Error, WorkError):  # the cause of the failure matters more than that of the rollback
            self.connection.execute("ROLLBACK")


def _connect(path: Path, read_only: bool, wait_s: float, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only, config=config)
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise damaged(path, error) from error
            if time.monotonic() >= deadline:
                raise _locked(path, error) from error
            time.sleep(_LOCK_POLL_S)
        except duckdb.Error as error:
            if "core_functions" not in str(error) or not _replay(path):
                raise damaged(path, error) from error


def _replay(path: Path) -> bool:
    """Take the write-ahead log of a killed migration into its file; whether that went well.

    DuckDB 2.0 opens a file before it knows the functions of its own core. A log that drops a table with a foreign key checks
    the table it points to again, `datasets`, whose CHECK calls one. A file that is attached later is replayed with them.
    """
    try:
        with duckdb.connect(":memory:") as helper:
            helper.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS catalog_to_replay")
            helper.execute("CHECKPOINT catalog_to_replay")
            helper.execute("DETACH catalog_to_replay")
    except duckdb.Error:
        return False
    return True


def _locked(path: Path, error: duckdb.IOException) -> WorkspaceLocked:
    found = re.search(r"PID (\d+)", str(error))
    who = f"process {found.group(1)}" if found else "another process"
    return WorkspaceLocked(f"{who} is working on {path.parent}", hint="wait for it, or give --wait SECONDS")


def _is_alive(process_id: int, run_started_s: float) -> bool:
    """Whether the process that began a run still lives, and is not another that was given its number since."""
    import psutil  # 20 ms, and seldom needed

    try:
        return bool(psutil.Process(process_id).create_time() <= run_started_s + _CLOCK_SLACK_S)
    except psutil.Error:
        return False
