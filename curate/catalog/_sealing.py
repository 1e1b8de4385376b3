"""Keeps the seals in step with what is written: every statement of ours that writes goes through here.

A statement's effect on a table is what its rows digest to after it, less what they did before it. So a row that was altered
behind our back stays unlike its seal, whatever is lawfully done to the rows around it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._digests import LOCAL, Shape, Total, Totals, shapes, totals

if TYPE_CHECKING:
    import duckdb

_WRITE = re.compile(
    r"""(?: \s | --[^\n]*\n )* (?: WITH\b .*? \) \s* )?
        (?: (?P<insert> INSERT \s+ INTO)
          | (?P<change> INSERT \s+ OR \s+ \w+ \s+ INTO | UPDATE | DELETE \s+ FROM | MERGE \s+ INTO | TRUNCATE (?: \s+ TABLE )?)
          | (?P<define> (?: CREATE | DROP | ALTER ) (?: \s+ OR \s+ REPLACE )? \s+ TABLE
                        (?: \s+ IF \s+ (?: NOT \s+ )? EXISTS )?) )
        \s+ "? (?P<table> \w+ )""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_CONFLICT = re.compile(r"\bON\s+CONFLICT\b", re.IGNORECASE)


class Write(NamedTuple):
    """What a statement does, as far as seals care: `inserts` adds rows and leaves all others alone."""

    table: str
    inserts: bool
    defines: bool


def written(statement: str) -> Write | None:
    """The table that a statement writes to; None where it writes to none."""
    found = _WRITE.match(statement)
    if not found:
        return None
    return Write(found["table"].lower(), bool(found["insert"]) and not _CONFLICT.search(statement), bool(found["define"]))


class Sealing:
    """The seals of one connection's open transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._shapes: dict[str, Shape] | None = None
        self._changes: dict[str, Totals] = {}
        self._touched: set[str] = set()
        self._defined = False
        self.run_id: int | None = None
        """The run on whose behalf this connection writes."""

    def close(self) -> None:
        """Let go of the connection, which was closed."""
        del self._connection

    @contextmanager
    def around(self, write: Write, within: str | None) -> Iterator[None]:
        """Account for what the block does to a table.

        Args:
            within: a condition over the table that selects the rows which the statement may touch, before it and after it
                alike; None for all of them.
        """
        condition = LOCAL if write.inserts else within or "true"
        fresh = write.inserts and write.table not in self._touched
        before = {} if fresh else self._totals(write.table, condition)
        yield
        if write.defines:
            self._shapes, self._defined = None, True
        self._touched.add(write.table)
        self.add(write.table, before, self._totals(write.table, condition))

    def add(self, table: str, before: Totals, after: Totals) -> None:
        """Note that rows of a table were these and are those now."""
        changes = self._changes.setdefault(table, {})
        for run_id in before.keys() | after.keys():
            change = after.get(run_id, Total()).minus(before.get(run_id, Total()))
            changes[run_id] = changes.get(run_id, Total()).plus(change)

    def everything(self) -> dict[str, Totals]:
        """Digest every table that has a row."""
        self._shapes = None
        known = self._known()
        if not known:
            return {}
        filled = self._connection.execute(
            " UNION ALL ".join(f"(SELECT '{table}' FROM \"{table}\" LIMIT 1)" for table in known)
        ).fetchall()
        return {table: totals(self._connection, known[table]) for (table,) in filled}

    def flush(self) -> None:
        """Write the seals, inside the transaction that they are about."""
        changed = [
            (table, run_id, change)
            for table, changes in self._changes.items()
            for run_id, change in changes.items()
            if change != Total()
        ]
        if changed:
            now = datetime.now(UTC).replace(tzinfo=None)
            for table, run_id, change in changed:
                self._write(table, run_id, change, now)
        self.forget()

    def forget(self) -> None:
        """The transaction has ended."""
        self._changes.clear()
        self._touched.clear()
        if self._defined:  # what was defined may have been rolled back
            self._shapes, self._defined = None, False

    def _totals(self, table: str, condition: str) -> Totals:
        shape = self._known().get(table)
        return totals(self._connection, shape, condition) if shape else {}  # a temporary table, or none yet

    def _known(self) -> dict[str, Shape]:
        if self._shapes is None:
            self._shapes = shapes(self._connection)
        return self._shapes

    def _write(self, table: str, run_id: int, change: Total, now: datetime) -> None:
        old = self._connection.execute(
            "SELECT row_count, digest FROM seals WHERE table_name = ? AND run_id = ? LIMIT 1", [table, run_id]
        ).fetchall()
        total = (Total(int(old[0][0]), int(old[0][1])) if old else Total()).plus(change)
        if old and total == Total():
            self._connection.execute("DELETE FROM seals WHERE table_name = ? AND run_id = ?", [table, run_id])
            return
        seal = self_seal(table, run_id, total.rows, total.digest, self.run_id, now)
        values = [total.rows, total.digest, self.run_id, now, seal]
        if old:
            self._connection.execute(
                """UPDATE seals SET row_count = ?, digest = ?, sealed_by = ?, sealed_at = ?, seal = ?
                   WHERE table_name = ? AND run_id = ?""",
                [*values, table, run_id],
            )
        else:
            self._connection.execute("INSERT INTO seals VALUES (?, ?, ?, ?, ?, ?, ?)", [table, run_id, *values])


def self_seal(table: str, run_id: int, rows: int, digest: int, sealed_by: int | None, sealed_at: datetime) -> str:
    """The seal of a seal: SHA-256 over its other columns."""
    return hashlib.sha256(f"{table}|{run_id}|{rows}|{digest}|{sealed_by}|{sealed_at.isoformat()}".encode()).hexdigest()
