"""Backs a workspace up: the catalog, the settings, the blobs and the models; not the caches in `indexes/`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate import __version__
from curate.records import Progress
from curate.safekeeping.objects import Entry, ObjectFolder
from curate.workspace import file_hash

_FOLDERS = ("blobs", "models")
_FILES = ("curate.toml", "catalog.duckdb", "catalog.duckdb.wal")
_TEMPORARY = ".tmp"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup did.

    Attributes:
        entries: every file of the workspace, as it lies in the backup.
        copied: how many files were copied; the others lay there.
        copied_bytes: their bytes.
        damaged: blobs whose bytes are not what their name says; the backup keeps an earlier whole copy where it has one.
        forgotten: files of earlier backups that were removed.
    """

    entries: tuple[Entry, ...]
    copied: int
    copied_bytes: int
    damaged: tuple[str, ...]
    forgotten: int


def back_up(root: Path, destination: Path, progress: Progress, *, fast: bool) -> BackedUp:
    """Copy what the backup lacks, verify what it has, and replace its manifest.

    The caller holds the workspace open for reading, so that nobody writes meanwhile.

    Args:
        root: the workspace.
        fast: trust the size of what lies in the backup already.
    """
    store = ObjectFolder(destination)
    with store.locked():
        before = {entry.path: entry for entry in store.read_manifest() or ()}
        entries: list[Entry] = []
        damaged: list[str] = []
        copied = copied_bytes = 0
        progress.start("backing up", unit="files")
        for path in _files(root):
            name = path.relative_to(root).as_posix()
            wanted = Entry(name, path.stat().st_size, _hash_in_name(name) or file_hash(path))
            if not store.holds(wanted, fast=fast):
                sha256, size = store.take(path)
                if sha256 != wanted.sha256:
                    damaged.append(name)
                    earlier = before.get(name)
                    if earlier is None or not store.holds(earlier, fast=fast):
                        continue
                    wanted = earlier
                else:
                    copied, copied_bytes = copied + 1, copied_bytes + size
            entries.append(wanted)
            progress.advance(1)
        progress.finish()
        store.write_manifest(entries, f"curate {__version__}")
        return BackedUp(tuple(entries), copied, copied_bytes, tuple(damaged), store.forget_others(entries))


def _files(root: Path) -> Iterator[Path]:
    """The settings, the catalog and its log, then every blob and every file of a model, in order."""
    yield from (root / name for name in _FILES if (root / name).is_file())
    for folder in _FOLDERS:
        yield from sorted(p for p in (root / folder).rglob("*") if p.is_file() and not p.name.endswith(_TEMPORARY))


def _hash_in_name(name: str) -> str | None:
    stem = name.rpartition("/")[2].partition(".")[0]
    return stem if name.startswith("blobs/") and len(stem) == 64 else None
