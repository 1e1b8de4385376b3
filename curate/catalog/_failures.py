"""What DuckDB says when the file, the disk or the memory refuses, in one sentence with a way out."""

from __future__ import annotations

from pathlib import Path

from curate.catalog._engine import duckdb
from curate.errors import WorkError, WorkspaceDamaged

_FULL = ("space left", "disk quota", "file too large")


def told(path: Path, error: Exception) -> BaseException:
    """The error to raise in the place of one of DuckDB's; that one itself where a statement was wrong."""
    text = str(error).lower()
    damage = (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException, duckdb.InternalException)
    if "interrupt" in text and not isinstance(error, damage):  # DuckDB took the signal while it worked
        return KeyboardInterrupt()
    if any(words in text for words in _FULL):
        kept = "; the last batch was stored all the same" if "is durable" in text else ""
        return WorkError(f"the disk of {path.parent} is full{kept}", hint="free some space, then run the same command again")
    if isinstance(error, duckdb.OutOfMemoryException):
        return WorkError(
            f"the catalog needs more memory than it is allowed: {first_line(error)}",
            hint='raise [limits] memory in curate.toml, for instance memory = "4GB"',
        )
    if isinstance(error, damage) or type(error) is duckdb.Error:  # the base class itself: a corrupt block
        return damaged(path, error)
    return error


def damaged(path: Path, error: Exception) -> WorkspaceDamaged:
    """Say that a catalog cannot be read, and what to do."""
    log = path.with_name(path.name + ".wal")
    what = first_line(error)
    if "wal" in what.lower() and log.exists():
        return WorkspaceDamaged(
            f"the log of the last commits, {log}, cannot be read: {what}",
            hint=f"mv {log.name} {log.name}.damaged, then curate check: the catalog opens as of its last checkpoint, without "
            "what that log holds; running the same commands again brings it back",
        )
    return WorkspaceDamaged(
        f"{path} cannot be read: {what}",
        hint="curate restore-backup BACKUP NEW_FOLDER; without a backup: curate check says what can still be read",
    )


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
