"""Columns whose type Arrow has not, or holds with other digits: they leave a query as DuckDB itself writes them."""

from __future__ import annotations

from typing import Any

import duckdb

AS_TEXT = frozenset({"uhugeint", "bignum", "interval", "time with time zone", "time_ns", "bit", "union"})
"""In Arrow, 2^128 - 1 becomes -1, a bignum its raw bytes, and a time loses its offset; Parquet has no interval and no union."""


def faithful(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The same rows, where every value that Arrow would change or Parquet refuse is text."""
    targets = [_target(column) for column in relation.types]
    if not any(targets):
        return relation
    chosen = [
        f"{f'CAST(#{number} AS {target})' if target else f'#{number}'} AS {_quoted(name)}"
        for number, (name, target) in enumerate(zip(relation.columns, targets, strict=True), 1)
    ]
    return relation.project(", ".join(chosen))


def _target(column: Any) -> str | None:
    """The type to cast to; None where the column may stay as it is."""
    kind = column.id
    if kind in AS_TEXT or (kind == "struct" and not column.children):
        return "VARCHAR"
    if kind not in ("list", "array", "struct", "tuple", "map"):
        return None
    parts = [(name, part, _target(part)) for name, part in column.children if not isinstance(part, int)]
    if not any(target for _, _, target in parts):
        return None
    whole = [target or str(part) for _, part, target in parts]
    if kind == "struct":
        return "STRUCT(" + ", ".join(f"{_quoted(part[0])} {kept}" for part, kept in zip(parts, whole, strict=True)) + ")"
    if kind == "tuple":
        return f"TUPLE({', '.join(whole)})"
    if kind == "map":
        return f"MAP({whole[0]}, {whole[1]})"
    length = next((size for _, size in column.children if isinstance(size, int)), "")
    return f"{whole[0]}[{length}]"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
