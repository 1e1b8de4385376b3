"""Keeps an index on disk beside a manifest, and gives it back only if both are whole.

FAISS files have no checksum, and a damaged one often loads and answers wrongly; so the SHA-256 in the manifest is checked
before anything is deserialised. The index file is named by its hash and the manifest is replaced last: a crash leaves the old
snapshot or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate.errors import WorkError

FORMAT = 2
MANIFEST = "manifest.json"


def save_snapshot(folder: Path, write: Callable[[Path], None], about: dict[str, Any]) -> None:
    """Write an index file and its manifest to `folder`, which is made; an older snapshot there is replaced.

    Args:
        write: writes the index to one file.
        about: JSON-like; given back with the snapshot.

    Raises:
        WorkError: the files cannot be written.
    """
    temporary = folder / f"new-{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(temporary)
        digest = _synced_sha256(temporary)
        target = folder / f"{digest[:32]}.index"
        temporary.replace(target)
        manifest = {"format": FORMAT, "sha256": digest, "file": target.name, "about": about, "about_sha256": _about_hash(about)}
        temporary.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        _synced_sha256(temporary)
        temporary.replace(folder / MANIFEST)
        _sync_folder(folder)
        for old in folder.glob("*.index"):
            if old != target:
                old.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        raise WorkError(f"the index snapshot in {folder} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_snapshot(folder: Path, read: Callable[[Path], Any]) -> tuple[Any, dict[str, Any]] | None:
    """Load the snapshot in `folder` and what was said about it, or None where it is missing or damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        about = manifest["about"]
        if manifest["format"] != FORMAT or manifest["about_sha256"] != _about_hash(about):
            return None
        if Path(manifest["file"]).name != manifest["file"]:
            return None
        path = folder / manifest["file"]
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != manifest["sha256"]:
                return None
        return read(path), dict(about)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None  # a cache: whatever is wrong with it, it is built again


def _about_hash(about: object) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _synced_sha256(path: Path) -> str:
    """Flush a file to disk and hash it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
