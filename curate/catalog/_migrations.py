"""Applies the numbered migrations under `schemas/sql/`, each in one transaction together with the record of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from curate.catalog._digests import Totals
from curate.catalog._sealing import Sealing
from curate.errors import WorkspaceDamaged, WorkspaceError
from curate.resources import resource_folder

if TYPE_CHECKING:
    import duckdb

_LEDGER = """
CREATE TABLE IF NOT EXISTS migrations (
    number     INTEGER PRIMARY KEY,
    name       VARCHAR NOT NULL,
    checksum   VARCHAR NOT NULL,
    applied_at TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
)"""


def migrate(connection: duckdb.DuckDBPyConnection, folder: Path | None = None) -> list[str]:
    """Bring the schema up to date.

    Args:
        folder: where the `NNNN_name.sql` files are; the installation's own by default.

    Returns:
        The names of the migrations that were applied now.

    Raises:
        WorkspaceDamaged: an applied migration is unknown here or its file has changed since.
    """
    connection.execute(_LEDGER)
    new = _pending(connection, folder)
    sealing = Sealing(connection)
    sealed = sealing.everything() if new and _has_seals(connection) else {}
    for file in new:
        sealed = _apply(connection, int(file.stem[:4]), file, sealing, sealed)
    if new:
        connection.execute("CHECKPOINT")  # DuckDB cannot always replay a log that holds them; see `_connect`
    return [file.stem for file in new]


def require_current(connection: duckdb.DuckDBPyConnection) -> None:
    """Make sure that a catalog which may not be written has the schema that this curate reads.

    Raises:
        WorkspaceDamaged: it is no catalog, or a newer curate made it.
        WorkspaceError: an older one did.
    """
    if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'migrations'").fetchall():
        raise WorkspaceDamaged("the file has no migrations table, so it is no catalog of curate", hint="curate init NEW_FOLDER")
    if new := _pending(connection, None):
        raise WorkspaceError(
            f"the catalog was written by an older curate (it lacks migration {new[0].stem})",
            hint="run `curate init WORKSPACE`, which brings it up to date and leaves its data as they are",
        )


def _pending(connection: duckdb.DuckDBPyConnection, folder: Path | None) -> list[Path]:
    """The migrations that are not applied yet, in order; those that are must be the ones that are here."""
    applied = {number: (name, checksum) for number, name, checksum in _ledger(connection)}
    files = {int(f.stem[:4]): f for f in sorted((folder or resource_folder("schemas") / "sql").glob("[0-9]" * 4 + "_*.sql"))}
    for number, (name, checksum) in applied.items():
        if number not in files:
            raise WorkspaceDamaged(
                f"the catalog was written by a newer curate (migration {name})", hint="pip install -U curate"
            )
        if _checksum(files[number]) != checksum:
            raise WorkspaceDamaged(f"migration {name} is not the one that made this catalog", hint="reinstall curate")
    return [file for number, file in files.items() if number not in applied]


def vectors_table_ddl(slug: str, dimension: int) -> str:
    """The statement that makes an embedder's vector table; the slug was checked by the `embedders` table's constraint."""
    if not slug.replace("_", "").isalnum() or dimension < 1:
        raise ValueError(f"not a table name or dimension: {slug!r}, {dimension}")
    template = (resource_folder("schemas") / "sql" / "templates" / "vectors.sql").read_text(encoding="utf-8")
    return template.replace("{slug}", slug).replace("{dimension}", str(dimension))


def _apply(
    connection: duckdb.DuckDBPyConnection, number: int, file: Path, sealing: Sealing, before: dict[str, Totals]
) -> dict[str, Totals]:
    """Apply one, and move the seals by what it changed; what was unlike its seal before is so afterwards.

    Args:
        before: what every table digests to now; empty where nothing is sealed yet, and then all that is there gets its seal.

    Returns:
        What every table digests to afterwards.
    """
    after: dict[str, Totals] = {}
    connection.execute("BEGIN TRANSACTION")
    try:
        connection.execute(file.read_text(encoding="utf-8"))
        connection.execute(
            "INSERT INTO migrations (number, name, checksum) VALUES (?, ?, ?)", [number, file.stem, _checksum(file)]
        )
        if _has_seals(connection):
            after = sealing.everything()
            for table in before.keys() | after.keys():
                sealing.add(table, before.get(table, {}), after.get(table, {}))
            sealing.flush()
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return after


def _has_seals(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'seals' AND NOT temporary").fetchall())


def _ledger(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    found: list[tuple[int, str, str]] = connection.execute(
        "SELECT number, name, checksum FROM migrations ORDER BY number"
    ).fetchall()
    return found


def _checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
