"""Makes a workspace from a backup, verified byte for byte before it takes its place."""

from __future__ import annotations

from pathlib import Path

from curate.errors import InputError, WorkError
from curate.exporting.folder import whole_folder
from curate.records import Progress
from curate.safekeeping.objects import MANIFEST, Entry, ObjectFolder, copy_hashed

_EMPTY = ("blobs/real", "blobs/synthetic", "indexes", "models")


def bring_back(source: Path, out: Path, progress: Progress) -> tuple[Entry, ...]:
    """Copy every file of a backup to a new workspace, which appears whole or not at all.

    Raises:
        InputError: the source is no backup, or `out` is not empty.
        WorkError: a file of the backup is missing or damaged.
    """
    store = ObjectFolder(source)
    entries = store.read_manifest()
    if entries is None:
        raise InputError(f"{source} is no backup: it has no {MANIFEST}", hint="the folder that curate backup was given")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not an empty folder", hint="name a new folder")
    progress.start("restoring", total=len(entries), unit="files")
    with whole_folder(out) as filling:
        folder = filling.path
        for name in _EMPTY:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for entry in entries:
            _copy(store, entry, folder / _inside(entry.path))
            progress.advance(1)
    progress.finish()
    return entries


def _copy(store: ObjectFolder, entry: Entry, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = copy_hashed(store.path(entry.sha256), target)
    except FileNotFoundError as error:
        raise WorkError(f"the backup lacks the bytes of {entry.path}", hint="curate backup again, or another backup") from error
    if found != (entry.sha256, entry.size_bytes):
        raise WorkError(f"the backup of {entry.path} is damaged", hint="curate backup again, or another backup")


def _inside(name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"the backup names a file outside the workspace: {name!r}", hint="another backup")
    return path
