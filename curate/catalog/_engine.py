"""DuckDB, imported when something of it is first used: a tenth of a second that not every command needs to pay."""

from __future__ import annotations

from typing import Any


class _Engine:
    """The module `duckdb`, as far as one that is written `duckdb.…` goes."""

    def __getattr__(self, name: str) -> Any:
        import duckdb

        return getattr(duckdb, name)


duckdb = _Engine()
