"""The digest of a table's rows, by the run that they name: order-independent, additive, and alike in every version of DuckDB.

A row's digest is half the MD5 of its columns, each written as text with its length before it; a row with vectors is digested
by SHA-256 over that text and the vectors' bytes, because DuckDB writes floats as text at 20,000 vectors a second. Digests of
rows are summed modulo 2^64. The sum guards against accidents and against hands that edit the catalog; it is no signature: who
computes the seals anew as well leaves no trace.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import duckdb

MODULUS = 2**64
_FIRST_LOCAL_ROW = 36_028_797_018_960_000
"""DuckDB numbers the rows that a transaction inserted from here on until it commits."""
LOCAL = f"rowid >= {_FIRST_LOCAL_ROW}"
"""The condition that selects what the open transaction inserted."""
_VECTOR = re.compile(r"FLOAT\[\d+\]")
_BATCH_ROWS = 4096


class Total(NamedTuple):
    """How many rows, and the sum of their digests modulo 2^64."""

    rows: int = 0
    digest: int = 0

    def plus(self, other: Total) -> Total:
        """Of the rows of both."""
        return Total(self.rows + other.rows, (self.digest + other.digest) % MODULUS)

    def minus(self, other: Total) -> Total:
        """Of these rows without the others."""
        return Total(self.rows - other.rows, (self.digest - other.digest) % MODULUS)


Totals = dict[int, Total]
"""By run; 0 for rows that name none."""


class Shape(NamedTuple):
    """A table and its columns as (name, type), in their order."""

    table: str
    columns: tuple[tuple[str, str], ...]

    @property
    def run(self) -> str:
        """The expression that says to which run a row belongs."""
        return "coalesce(run_id, 0)" if any(name == "run_id" for name, _ in self.columns) else "0"


def shapes(connection: duckdb.DuckDBPyConnection) -> dict[str, Shape]:
    """Every table of the catalog by name, without those that hold the seals."""
    rows = connection.execute(
        """SELECT c.table_name, list(c.column_name ORDER BY c.column_index), list(c.data_type ORDER BY c.column_index)
           FROM duckdb_columns() c JOIN duckdb_tables() t USING (table_oid, database_oid)
           WHERE NOT t.temporary AND NOT t.internal AND t.schema_name = 'main' AND t.database_name = current_database()
           GROUP BY c.table_name ORDER BY c.table_name"""
    ).fetchall()
    return {table: Shape(table, tuple(zip(names, types, strict=True))) for table, names, types in rows if table != "seals"}


def totals(connection: duckdb.DuckDBPyConnection, shape: Shape, condition: str = "true") -> Totals:
    """Digest the rows of a table that a condition selects."""
    vectors = [name for name, kind in shape.columns if _VECTOR.fullmatch(kind)]
    if vectors:
        return _with_vectors(connection, shape, vectors, condition)
    rows = connection.execute(
        f"""SELECT run, count(*), sum(md5_number_lower(line)) FROM (
                SELECT {shape.run} AS run, {_line(shape, ())} AS line FROM "{shape.table}" WHERE {condition}) GROUP BY run"""
    ).fetchall()
    return {int(run): Total(int(count), int(digest) % MODULUS) for run, count, digest in rows}


def _line(shape: Shape, without: tuple[str, ...]) -> str:
    """An expression for a row as text; no two rows are written alike."""
    named = [f'"{name}"::VARCHAR' for name, _ in shape.columns if name not in without]
    return "concat(" + ", ".join(f"coalesce(strlen({column}) || ':' || {column}, '-')" for column in named) + ")"


def _with_vectors(connection: duckdb.DuckDBPyConnection, shape: Shape, vectors: list[str], condition: str) -> Totals:
    import numpy as np

    columns = ", ".join(f'"{name}"' for name in vectors)
    found: Totals = {}
    reader = connection.sql(
        f"""SELECT {shape.run} AS run, {_line(shape, tuple(vectors))} AS line, {columns}
            FROM "{shape.table}" WHERE {condition}"""
    ).to_arrow_reader(_BATCH_ROWS)
    for batch in reader:
        runs = batch.column(0).to_numpy()
        lines = [line.encode() for line in batch.column(1).to_pylist()]
        blocks = [_bytes(batch.column(n), batch.num_rows) for n in range(2, 2 + len(vectors))]
        digests = [
            hashlib.sha256(b"".join((line, *(block[row] for block in blocks)))).digest()[:8] for row, line in enumerate(lines)
        ]
        numbers = np.frombuffer(b"".join(digests), "<u8")
        for run in np.unique(runs):
            chosen = numbers[runs == run]
            total = Total(len(chosen), int(chosen.sum(dtype=np.uint64)))  # numpy wraps at 2^64
            found[int(run)] = found.get(int(run), Total()).plus(total)
    return found


def _bytes(column: object, rows: int) -> list[bytes]:
    """The bytes of each row of a fixed-size list column; a NULL has none."""
    import numpy as np
    import pyarrow as pa

    assert isinstance(column, pa.FixedSizeListArray)
    if column.null_count:
        return [b"" if value is None else np.asarray(value, "<f4").tobytes() for value in column.to_pylist()]
    matrix = np.ascontiguousarray(column.flatten().to_numpy(zero_copy_only=False).reshape(rows, -1), "<f4")
    raw, width = matrix.tobytes(), matrix.shape[1] * 4
    return [raw[at : at + width] for at in range(0, len(raw), width)]
